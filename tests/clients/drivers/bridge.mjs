// `mcp-remote --header` as a driver of tests/clients: the bridge for applications that only know stdio, here
// used by the TypeScript SDK 1.x. Its argument is the bridge's own `--protocol`: `legacy` (its default) or
// `auto` (it speaks 2026-07-28 to the server and 2025-11-25 to the application).

import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { drive } from './lines.mjs';

const protocol = process.argv[2] ?? 'legacy';
const script = fileURLToPath(new URL('../node_modules/mcp-remote/dist/proxy.js', import.meta.url));

async function connect(url, key) {
  const args = [script, url, '--protocol', protocol, '--transport', 'http-only'];
  // A refused key must not wait for somebody to sign in.
  args.push(...(key ? ['--header', `Authorization: Bearer ${key}`, '--auth-timeout', '5'] : []));
  const transport = new StdioClientTransport({ command: process.execPath, args, env: process.env, stderr: 'inherit' });
  const client = new Client({ name: 'sequel-tests-bridge', version: '1' });
  await client.connect(transport);
  return { client, protocol: null };
}

drive(connect, (client, params, options) => client.callTool(params, undefined, options));
