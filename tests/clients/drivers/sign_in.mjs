// Signs a client of the TypeScript SDKs in: what an application has to bring for it. A callback on loopback, a memory, and a
// browser, which is the program that BROWSER names. Knows no SDK: both take the same provider.

import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';

/** A callback on a free port of loopback; `answered` resolves with the parameters of the first answer. */
async function callback() {
  let answer;
  const answered = new Promise((resolve) => (answer = resolve));
  const server = createServer((request, response) => {
    const url = new URL(request.url, 'http://127.0.0.1');
    response.writeHead(url.pathname === '/callback' ? 200 : 404, { 'Content-Type': 'text/plain' });
    response.end('You can close this page.');
    if (url.pathname === '/callback') answer(url.searchParams);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, answered, url: `http://127.0.0.1:${server.address().port}/callback` };
}

/** The SDKs' `OAuthClientProvider`. It opens the browser once; whoever has to sign in again is told so by the SDK. */
class Provider {
  kept = {};
  asked = 0;

  constructor(name, redirectUrl) {
    this.name = name;
    this.redirectUrl = redirectUrl;
  }

  get clientMetadata() {
    return {
      client_name: this.name,
      redirect_uris: [this.redirectUrl],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    };
  }

  state() { return (this.kept.state = randomUUID()); }
  clientInformation() { return this.kept.client; }
  saveClientInformation(client) { this.kept.client = client; }
  tokens() { return this.kept.tokens; }
  saveTokens(tokens) { this.kept.tokens = tokens; }
  codeVerifier() { return this.kept.verifier; }
  saveCodeVerifier(verifier) { this.kept.verifier = verifier; }

  redirectToAuthorization(url) {
    this.asked += 1;
    if (this.asked === 1) spawn(process.env.BROWSER, [String(url)], { stdio: 'ignore' });
  }
}

/**
 * Connects a client that has no key.
 *
 * @param name what the client calls itself
 * @param open `(provider) => ({ client, transport })`, each time a fresh pair that is not connected yet
 */
export async function signedIn(name, open) {
  const { server, answered, url } = await callback();
  try {
    const provider = new Provider(name, url);
    const first = open(provider);
    try {
      await first.client.connect(first.transport);
      throw new Error('the server lets a client in that has shown nothing');
    } catch (error) {
      if (!provider.asked) throw error;
    }
    const params = await answered;
    if (params.get('state') !== provider.kept.state) throw new Error('the answer has another state');
    if (!params.get('code')) throw new Error(`signing in ends with ${params.get('error')}: ${params.get('error_description')}`);
    await first.transport.finishAuth(first.takesAll ? params : params.get('code'));
    const second = open(provider);
    await second.client.connect(second.transport);
    return second;
  } finally {
    server.close();
    server.closeAllConnections();
  }
}
