// The TypeScript SDK 1.x (`@modelcontextprotocol/sdk`) as a driver of tests/clients.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { drive } from './lines.mjs';

async function connect(url, key, { fetch }) {
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    requestInit: { headers: { Authorization: `Bearer ${key}` } },
    fetch,
  });
  const client = new Client({ name: 'sequel-tests-ts1', version: '1' });
  await client.connect(transport);
  return { client, protocol: transport.protocolVersion };
}

drive(connect, (client, params, options) => client.callTool(params, undefined, options));
