// The TypeScript SDK 2.x (`@modelcontextprotocol/client`) as a driver of tests/clients. Its argument
// is the SDK's own negotiation mode: `legacy` (what a client gets by default) or `auto`.

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { drive } from './lines.mjs';
import { signedIn } from './sign_in.mjs';

const mode = process.argv[2] ?? 'legacy';
// The default is reached by saying nothing, as most applications do.
const options = mode === 'legacy' ? {} : { versionNegotiation: { mode } };

const name = 'sequel-tests-ts2';

function open(url, how) {
  const transport = new StreamableHTTPClientTransport(new URL(url), how);
  // It looks at all parameters of the answer: `iss` has to be the issuer that it asked.
  return { transport, client: new Client({ name, version: '1' }, options), takesAll: true };
}

async function connect(url, key, { fetch }) {
  if (!key) {
    const { client } = await signedIn(name, (authProvider) => open(url, { authProvider, fetch }));
    return { client, protocol: client.getNegotiatedProtocolVersion() };
  }
  const { client, transport } = open(url, { requestInit: { headers: { Authorization: `Bearer ${key}` } }, fetch });
  await client.connect(transport);
  return { client, protocol: client.getNegotiatedProtocolVersion() };
}

drive(connect, (client, params, callOptions) => client.callTool(params, callOptions));
