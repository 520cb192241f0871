// From an empty data folder to the first answered call, on the real server, in a real browser: once with the mouse on a
// wide screen in light colours, once with the keyboard on a phone in dark ones. tests/run says how it is started.
//
//     SEQUEL=target/release/sequel tests/postgres/run node tests/browser/whole.mjs [--only-databases]
//
// The pasted lines of Claude Code, Codex and Gemini CLI go to the real programs (tests/clients installs them); the shapes
// of the others are held by the tests of src/install.rs against their documentation.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { chromium } from 'playwright-core';

import { databases } from './databases.mjs';
import { judged } from './looks.mjs';
import { rooms } from './rooms.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const shots = `${here}screenshots`;
const sequel = process.env.SEQUEL ?? 'target/debug/sequel';
const executablePath = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync);
if (!executablePath) throw new Error('Chromium is missing: apt-get install chromium, or name it in CHROMIUM.');
const run = promisify(execFile);
const PASSWORD = 'seven quiet rivers upstream';

// A server on an empty folder, and the link that it prints.
async function start(folder, database) {
  mkdirSync(`${folder}/data`);
  const server = spawn(sequel, ['serve', '--port', '0', '--data-dir', `${folder}/data`], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, SEQUEL__SOURCES__SQLITE__FOLDERS: database, SEQUEL__SOURCES__NETWORK__ALLOW: '127.0.0.0/8' },
  });
  const found = { link: null, address: null };
  const ready = new Promise((resolve, reject) => {
    const look = line => {
      found.link ??= line.match(/http:\S+\/set-up\/\S+/)?.[0] ?? null;
      found.address ??= line.match(/listen=(\S+)/)?.[1] ?? null;
      if (found.link && found.address) resolve();
    };
    createInterface({ input: server.stdout }).on('line', look);
    createInterface({ input: server.stderr }).on('line', look);
    server.once('exit', code => reject(new Error(`the server ended with ${code}`)));
  });
  await ready;
  return { server, link: found.link };
}

// A hand that counts what it does: with the mouse, or with the keyboard alone.
function handOf(page, keyboard) {
  let clicks = 0;
  return {
    get clicks() { return clicks; },
    async press(locator) {
      clicks += 1;
      if (keyboard) {
        await locator.focus();
        await locator.press('Enter');
      } else {
        await locator.click();
      }
    },
    async type(label, text) {
      const field = page.getByLabel(label, { exact: true });
      await field.focus();
      await page.keyboard.type(text);
    },
    // In the place of what is there.
    async fill(label, text) {
      await page.getByLabel(label, { exact: true }).or(page.getByLabel(`${label} (optional)`)).focus();
      await page.keyboard.press('ControlOrMeta+a');
      await page.keyboard.type(text);
    },
    async tick(locator) {
      clicks += 1;
      if (!keyboard) return locator.check();
      await locator.focus();
      return page.keyboard.press('Space');
    },
    async choose(locator, value) {
      clicks += 1;
      // A list of choices is the browser's own window: what it holds is chosen by its value.
      await locator.focus();
      await locator.selectOption(value);
    },
  };
}

async function calls(url, key, body) {
  const answer = await fetch(url, {
    method: 'POST',
    headers: {
      'Authorization': `Bearer ${key}`,
      'Content-Type': 'application/json',
      'Accept': 'application/json, text/event-stream',
      'MCP-Protocol-Version': '2025-11-25',
      'User-Agent': 'claude-code/2.1 (cli)',
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, ...body }),
  });
  return { status: answer.status, text: await answer.text() };
}

// Pastes what the page shows for a client into the real program, and asks that whether it got there.
async function paste(page, client) {
  const snippets = await page.locator('figure.code').evaluateAll(blocks => blocks.map(block => ({
    place: block.querySelector('figcaption').firstElementChild?.matches('svg')
      ? 'Terminal' : block.querySelector('figcaption').firstChild.textContent.trim(),
    text: block.querySelector('code').textContent,
  })));
  const pasted = spawn('python3', [`${here}../clients/pasted.py`], { stdio: ['pipe', 'inherit', 'inherit'] });
  pasted.stdin.end(JSON.stringify({ client, snippets }));
  const [code] = await once(pasted, 'exit');
  assert.equal(code, 0, `${client} did not get there`);
}

async function whole({ name, keyboard, width, scheme }) {
  const folder = mkdtempSync(`${tmpdir()}/sequel-browser-`);
  const database = `${folder}/databases`;
  mkdirSync(database);
  await run('python3', ['-c', `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.executescript("CREATE TABLE rain (day TEXT, mm REAL); INSERT INTO rain VALUES ('2026-11-24', 7.5)")
`, `${database}/weather.db`]);
  const { server, link } = await start(folder, database);
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  try {
    const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme });
    const page = await context.newPage();
    const errors = [];
    page.on('console', message => message.type() === 'error' && errors.push(message.text()));
    page.on('pageerror', error => errors.push(error.message));
    const hand = handOf(page, keyboard);
    let seen = 0;
    const look = async what => {
      seen += 1;
      await page.screenshot({ path: `${shots}/whole.${name}.${String(seen).padStart(2, '0')}-${what}.png` });
      const found = await judged(page);
      assert.deepEqual(found, [], `${what}: ${found.join('; ')}`);
      const sideways = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(sideways <= 0, `${what} scrolls sideways by ${sideways}`);
    };
    const button = text => page.getByRole('button', { name: text, exact: true });
    const linkTo = text => page.getByRole('link', { name: text, exact: true });

    await page.goto(link);
    await look('set-up');
    await hand.type('Your email', 'ada@example.com');
    await hand.type('Password', PASSWORD);
    await hand.type('Organization', 'Northwind Traders');
    await hand.press(button('Create account and organization'));
    await page.getByRole('heading', { name: 'Three steps to the first answer' }).waitFor();
    await look('overview');
    const base = page.url();

    await hand.press(linkTo('Add data source').first());
    await hand.press(linkTo('SQLite'));
    await hand.type('Name', 'weather');
    await hand.type('File', `${database}/weather.db`);
    await look('source');
    await hand.press(button('Test and save'));
    await page.getByText('weather is connected.').waitFor();

    if (width < 900) await hand.press(button('Menu'));
    await hand.press(linkTo('Install in your tool').first());
    await hand.press(button('Make the key and show the snippet'));
    const waiting = page.getByText('Waiting for the first call');
    await waiting.waitFor();
    await look('install');
    const snippet = await page.locator('#snippet-1').textContent();
    await hand.press(button('Copy').first());
    await page.getByText('Copied', { exact: false }).first().waitFor();
    const key = snippet.match(/sql_[0-9A-Za-z]{71}/)[0];
    const url = snippet.match(/http:\S+\/mcp/)[0];
    if (!keyboard && !process.argv.includes('--only-databases')) await paste(page, 'Claude Code');
    const call = { method: 'tools/call', params: { name: 'run_query', arguments: { sql: 'SELECT mm FROM rain' } } };
    const answer = await calls(url, key, call);
    assert.ok(answer.text.includes('7.5'), answer.text);
    await page.getByText('Claude Code called run_query').waitFor();
    await look('called');
    console.log(`${name}: ${hand.clicks} clicks from an empty folder to the first answered call`);

    assert.deepEqual(errors, [], `${name}: ${errors.join('; ')}`);
    await databases({
      word: name, page, hand, look, base,
      calls: async (sql, source) => (await calls(url, key, { ...call, params: { ...call.params, arguments: { sql, source } } })).text,
    });
    // A refused form and a page that is gone are errors to the browser, and meant there.
    const unmeant = errors.splice(0).filter(text => !/status of (404|422)/.test(text));
    assert.deepEqual(unmeant, [], `${name}: ${unmeant.join('; ')}`);
    if (process.argv.includes('--only-databases')) return;

    for (const [tool, client] of keyboard ? [] : [['codex', 'Codex'], ['gemini-cli', 'Gemini CLI']]) {
      await page.goto(`${base}/install/${tool}`);
      await hand.press(button('Make the key and show the snippet'));
      await waiting.waitFor();
      await paste(page, client);
    }

    // Settings → API Keys: made, copied from the page, used, deleted; it stops at once.
    await page.goto(`${base}/keys`);
    await hand.press(linkTo('Create key').first());
    await hand.type('Name', 'nightly report');
    await look('key-new');
    await hand.press(button('Create key'));
    await page.getByRole('heading', { name: 'Copy your key now' }).waitFor();
    await look('key-shown');
    const shown = (await page.locator('#secret').textContent()).trim();
    assert.equal((await calls(url, shown, { method: 'tools/list', params: {} })).status, 200);
    await hand.press(linkTo('I have saved it'));
    assert.ok(!(await page.content()).includes(shown.slice(20)), 'the key is shown once');
    await page.goto(`${base}/keys/${shown.slice(4, 14)}/delete`);
    await look('key-delete');
    await hand.type('Type nightly report to confirm', 'nightly report');
    await hand.press(button('Delete key'));
    await page.getByText('nightly report was deleted').waitFor();
    assert.equal((await calls(url, shown, { method: 'tools/list', params: {} })).status, 401);
    await look('keys');

    for (const room of ['sources', 'members', 'members/invite', 'audit', 'settings', 'keys/leaked']) {
      await page.goto(`${base}/${room}`);
      await look(room.replace('/', '-'));
    }
    await rooms({
      page, hand, look, base,
      password: PASSWORD,
      calls: async key => (await calls(url, key, { method: 'tools/list', params: {} })).status,
      command: async (...words) => JSON.parse((await run(sequel, [...words, '--data-dir', `${folder}/data`])).stdout),
    });
    await page.goto(new URL('/account', base).href);
    await look('account');
    await page.goto(new URL('/docs', base).href);
    await look('docs');
    await page.goto(new URL('/account', base).href);
    if (width < 900) await hand.press(button('Menu'));
    await hand.press(button('Sign out'));
    await page.getByText('You are signed out.').waitFor();
    await look('signed-out');
    await page.goto(`${base}/keys`);
    await hand.type('Email', 'ada@example.com');
    await hand.type('Password', PASSWORD);
    await hand.press(button('Sign in'));
    await page.getByRole('heading', { name: 'API Keys', exact: true }).waitFor();
    assert.deepEqual(errors, [], `${name}: ${errors.join('; ')}`);
  } finally {
    await browser.close();
    const ended = new Promise(resolve => server.once('exit', resolve));
    server.kill('SIGTERM');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  }
}

mkdirSync(shots, { recursive: true });
await whole({ name: 'mouse', keyboard: false, width: 1280, scheme: 'light' });
await whole({ name: 'keyboard', keyboard: true, width: 390, scheme: 'dark' });
console.log('the whole way, with the mouse and with the keyboard: ok');
