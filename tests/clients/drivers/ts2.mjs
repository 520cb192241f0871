// The TypeScript SDK 2.x (`@modelcontextprotocol/client`) as a driver of tests/clients. Its argument
// is the SDK's own negotiation mode: `legacy` (what a client gets by default) or `auto`.

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { drive } from './lines.mjs';

const mode = process.argv[2] ?? 'legacy';
// The default is reached by saying nothing, as most applications do.
const options = mode === 'legacy' ? {} : { versionNegotiation: { mode } };

async function connect(url, key, { fetch }) {
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    requestInit: { headers: { Authorization: `Bearer ${key}` } },
    fetch,
  });
  const client = new Client({ name: 'sequel-tests-ts2', version: '1' }, options);
  await client.connect(transport);
  return { client, protocol: client.getNegotiatedProtocolVersion() };
}

drive(connect, (client, params, callOptions) => client.callTool(params, callOptions));
