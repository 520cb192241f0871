// Drives an MCP client by JSON lines (README.md): one request a line on stdin, one answer a line on
// stdout. Knows no SDK and no scenario; the SDK's driver hands in how to connect.

import { createInterface } from 'node:readline';

/**
 * A `fetch` that remembers the last POST that was refused, because the SDKs word such a failure
 * differently and some drop the status.
 */
export function watched() {
  const seen = { status: null, challenge: null };
  const fetchAndRemember = async (input, init) => {
    const response = await fetch(input, init);
    if ((init?.method ?? 'GET') === 'POST' && response.status >= 400) {
      seen.status = response.status;
      seen.challenge = response.headers.get('www-authenticate');
    }
    return response;
  };
  return { seen, fetch: fetchAndRemember };
}

/**
 * @param connect `async (url, key, watched) => ({ client, protocol })`, where `client` has the
 *   SDKs' common `listTools`, `callTool(params, options)` and `close`.
 * @param callTool `(client, params, options) => Promise<result>`: the SDKs differ in its arguments.
 */
export function drive(connect, callTool) {
  let connected = null;
  const running = new Map();
  // Progress by call, and changes that were heard of and not told yet.
  const notes = new Map();
  const changes = [];
  let wake = null;
  const say = (line) => process.stdout.write(JSON.stringify(line) + '\n');

  const operations = {
    async connect({ url, key }) {
      const watch = watched();
      try {
        connected = { ...(await connect(url, key, watch)), watch };
      } catch (error) {
        error.seen = watch.seen;
        throw error;
      }
      return { protocol: connected.protocol };
    },
    async list_tools() {
      return { tools: (await connected.client.listTools()).tools };
    },
    async call({ id, name, arguments: args, progress }) {
      const abort = new AbortController();
      const options = { signal: abort.signal };
      if (progress) {
        notes.set(id, []);
        options.onprogress = (note) => notes.get(id).push(note);
      }
      running.set(id, abort);
      try {
        return { result: await callTool(connected.client, { name, arguments: args }, options) };
      } finally {
        running.delete(id);
      }
    },
    async notes({ target }) {
      return { notes: notes.get(target) ?? [] };
    },
    async listen() {
      connected.client.setNotificationHandler('notifications/resources/list_changed', () => {
        changes.push('resources');
        wake?.();
      });
      const open = await connected.client.listen({ toolsListChanged: true, resourcesListChanged: true });
      return { honored: open.honoredFilter };
    },
    async change() {
      while (changes.length === 0) await new Promise((resolve) => (wake = resolve));
      return { change: changes.shift() };
    },
    async list_resources() {
      return { resources: (await connected.client.listResources()).resources };
    },
    async list_resource_templates() {
      return { templates: (await connected.client.listResourceTemplates()).resourceTemplates };
    },
    async read_resource({ uri }) {
      return { contents: (await connected.client.readResource({ uri })).contents };
    },
    async list_prompts() {
      return { prompts: (await connected.client.listPrompts()).prompts };
    },
    async get_prompt({ name, arguments: args }) {
      return { messages: (await connected.client.getPrompt({ name, arguments: args })).messages };
    },
    async complete({ ref, argument }) {
      return { values: (await connected.client.complete({ ref, argument })).completion.values };
    },
    async cancel({ target }) {
      running.get(target)?.abort(new Error('given up by the caller'));
      return {};
    },
    async close() {
      await connected?.client.close();
      connected = null;
      return {};
    },
  };

  const lines = createInterface({ input: process.stdin });
  // An open stream of the SDK's must not keep the process when the runner is done with it; a bridge below it is
  // ended first.
  lines.on('close', async () => {
    await operations.close().catch(() => {});
    process.exit(0);
  });
  lines.on('line', async (line) => {
    const request = JSON.parse(line);
    const seen = () => connected?.watch.seen ?? {};
    Object.assign(seen(), { status: null, challenge: null });
    try {
      say({ id: request.id, ok: true, ...(await operations[request.op](request)) });
    } catch (error) {
      const { status, challenge } = error.seen ?? seen();
      say({ id: request.id, ok: false, error: { message: String(error?.message ?? error), status, challenge } });
    }
  });
}
