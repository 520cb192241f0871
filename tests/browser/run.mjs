// Looks at every page of src/pages in a real browser: tests/run says how it is started.
//
//     SEQUEL_PREVIEW=target/debug/examples/pages_preview node tests/browser/run.mjs [PAGE/SAMPLE ...]
//
// The preview serves made-up content with the product's own headers. Screenshots go to tests/browser/screenshots.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

import { jobs } from './jobs.mjs';
import { lookAt, lookWithoutScript, sideways } from './looks.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const shots = `${here}screenshots`;

const failures = [];
const fail = (where, what) => {
  failures.push(where);
  console.log(`FAIL ${where}: ${what}`);
};

const preview = spawn(process.env.SEQUEL_PREVIEW ?? 'target/debug/examples/pages_preview', {
  stdio: ['pipe', 'pipe', 'inherit'],
});
const [base] = await once(createInterface({ input: preview.stdout }), 'line');

const executablePath = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync);
if (!executablePath) throw new Error('Chromium is missing: apt-get install chromium, or name it in CHROMIUM.');
// Root has no other sandbox to give it; what it loads here is our own.
const how = { executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] };
const browser = await chromium.launch(how);

try {
  const wanted = process.argv.slice(2);
  const names = (await (await fetch(base)).json()).filter(name => wanted.length === 0 || wanted.includes(name));
  if (wanted.length === 0) rmSync(shots, { recursive: true, force: true });
  mkdirSync(shots, { recursive: true });

  // Without motion: a colour on its way from one scheme to the other is neither's.
  const context = await browser.newContext({ reducedMotion: 'reduce' });
  const seen = await context.newPage();
  for (const name of names) {
    const shot = (scheme, width) => `${shots}/${name.replace('/', '.')}.${scheme}-${width}.png`;
    for (const what of await lookAt(seen, `${base}/pages/${name}`, shot)) fail(name, what);
  }
  await context.close();

  // Text of twice the size, as people set it in their browser.
  const large = await chromium.launch({ ...how, args: [...how.args, '--blink-settings=defaultFontSize=32'] });
  const big = await large.newPage();
  for (const name of names) {
    await big.goto(`${base}/pages/${name}`);
    for (const width of [1280, 640]) {
      for (const what of await sideways(big, width)) fail(`${name} with large text`, what);
    }
  }
  await large.close();

  const bare = await browser.newContext({ viewport: { width: 390, height: 900 }, javaScriptEnabled: false });
  const page = await bare.newPage();
  for (const name of names) {
    for (const what of await lookWithoutScript(page, `${base}/pages/${name}`)) fail(`${name} without script`, what);
  }
  await bare.close();

  let done = 0;
  if (wanted.length === 0) {
    for (const [name, job] of Object.entries(jobs)) {
      const context = await browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'] });
      try {
        await job(await context.newPage(), base);
        done += 1;
      } catch (error) {
        fail(name, error.message);
      }
      await context.close();
    }
  }
  console.log(`${names.length} pages, ${done} jobs: ${failures.length} failures`);
} finally {
  await browser.close();
  preview.stdin.end();
}
process.exitCode = failures.length === 0 ? 0 : 1;
