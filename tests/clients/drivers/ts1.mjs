// The TypeScript SDK 1.x (`@modelcontextprotocol/sdk`) as a driver of tests/clients.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { drive } from './lines.mjs';
import { signedIn } from './sign_in.mjs';

const name = 'sequel-tests-ts1';

function open(url, options) {
  const transport = new StreamableHTTPClientTransport(new URL(url), options);
  return { transport, client: new Client({ name, version: '1' }) };
}

async function connect(url, key, { fetch }) {
  if (!key) {
    const { client, transport } = await signedIn(name, (authProvider) => open(url, { authProvider, fetch }));
    return { client, protocol: transport.protocolVersion };
  }
  const { client, transport } = open(url, { requestInit: { headers: { Authorization: `Bearer ${key}` } }, fetch });
  await client.connect(transport);
  return { client, protocol: transport.protocolVersion };
}

drive(connect, (client, params, options) => client.callTool(params, undefined, options));
