// A person at a browser, by JSON lines like the drivers (README.md): a real headless Chromium on Sequel's own pages. Knows
// the pages as a person does, by what is written on them, and nothing of OAuth.
//
//     {"op": "set_up", "url": "…/set-up/…", "email": …, "password": …, "org": "demo"}
//     {"op": "new_org", "name": …}
//     {"op": "authorize", "url": …, "org": …, "answer": "Allow"}    → what the page says, and where the browser is led
//         with "caught": a redirect URI at which nobody listens; the browser is shown a page of ours there
//     {"op": "revoke", "app": "Claude Code", "org": "demo"}         → what the dashboard says then
//     {"op": "sign_out"}

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const { chromium } = createRequire(new URL('../browser/', import.meta.url))('playwright-core');

const executablePath = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync);
const PATIENCE = 15_000;
// An operation has several steps, each of which may wait.
const OPERATION = 45_000;
const browser = await chromium.launch({
  executablePath,
  // Root has no other sandbox to give it. No name but loopback's leads anywhere: nothing leaves this machine.
  args: [
    '--no-sandbox', '--disable-dev-shm-usage', '--disable-background-networking', '--disable-component-update',
    '--no-proxy-server', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1',
  ],
});
const context = await browser.newContext();
const me = { origin: null, email: null, password: null };

async function visit(url) {
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const blocked = [];
  page.on('console', (message) => message.type() === 'error' && blocked.push(message.text()));
  await page.goto(url);
  return { page, blocked };
}

/** Not waited for: Chromium takes minutes over it where a client has gone away while its answer was shown. */
function leave(page) {
  page.close().catch(() => {});
}

async function signIn(page) {
  await page.getByLabel('Email', { exact: true }).fill(me.email);
  await page.getByLabel('Password', { exact: true }).fill(me.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL((url) => url.pathname !== '/sign-in');
}

/** A page of an organization, found as a person does: the organization in its menu, then the page. */
async function dashboard(page, org, link) {
  if (new URL(page.url()).pathname === '/sign-in') await signIn(page);
  const menu = page.getByRole('navigation', { name: 'Main' });
  await menu.locator('summary').click();
  await menu.locator('details').getByRole('link', { name: org }).click();
  await menu.getByRole('link', { name: link }).click();
}

const operations = {
  async set_up({ url, email, password, org }) {
    Object.assign(me, { origin: new URL(url).origin, email, password });
    const { page } = await visit(url);
    await page.getByLabel('Your email').fill(email);
    await page.getByLabel('Password', { exact: true }).fill(password);
    await page.getByLabel('Organization', { exact: true }).fill(org);
    await page.getByRole('button').last().click();
    await page.getByRole('heading', { level: 1 }).waitFor();
    leave(page);
    return {};
  },
  async new_org({ name }) {
    const { page } = await visit(`${me.origin}/orgs/new`);
    await page.getByLabel('Name', { exact: true }).fill(name);
    await page.getByRole('main').getByRole('button').click();
    await page.waitForURL((url) => url.pathname !== '/orgs/new');
    leave(page);
    return {};
  },
  async authorize({ url, org, answer, caught }) {
    const { page, blocked } = await visit(url);
    const seen = { signed_in: false, answer: null };
    const redirect = new URL(url).searchParams.get('redirect_uri');
    page.on('request', (request) => {
      if (request.isNavigationRequest() && request.url().startsWith(redirect)) seen.answer ??= request.url();
    });
    if (caught && /^https?:/.test(caught)) {
      await page.route((there) => there.href.startsWith(caught), (route) => route.fulfill({ body: 'You can close this page.' }));
    }
    if (new URL(page.url()).pathname === '/sign-in') {
      await signIn(page);
      seen.signed_in = true;
    }
    seen.question = await page.getByRole('heading', { level: 1 }).innerText();
    seen.text = await page.getByRole('main').innerText();
    if (answer === 'Allow') {
      const picked = page.locator('.pick').filter({ has: page.getByRole('radio', { name: org }) });
      await picked.getByRole('radio').check();
      // Where there is no source yet, only those that come later can be allowed.
      if (await picked.getByText('No data source is connected yet').isVisible()) {
        await picked.getByRole('checkbox', { name: 'also those added later' }).check();
      }
    }
    await page.getByRole('button', { name: answer }).click();
    if (/^https?:/.test(redirect)) {
      // The page goes on by itself; what the client shows or where it leads then is its own affair.
      const deadline = Date.now() + PATIENCE;
      while (!seen.answer && Date.now() < deadline) await page.waitForTimeout(50);
      if (!seen.answer) throw new Error('the browser is not led to the client');
      await page.waitForLoadState('load');
    } else {
      // A program of its own is opened by a person alone, and none is installed here.
      const link = page.getByRole('link', { name: 'Back to the app' });
      await link.waitFor();
      seen.answer = await link.getAttribute('href');
    }
    seen.blocked = blocked.filter((text) => text.includes('Content Security Policy'));
    leave(page);
    return seen;
  },
  async revoke({ app, org }) {
    const { page } = await visit(me.origin);
    await dashboard(page, org, 'Authorized apps');
    await page.getByRole('row', { name: app }).getByRole('link', { name: 'Revoke' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
    await page.locator('.toast').waitFor();
    const told = await page.locator('.toast span').innerText();
    const left = await page.getByRole('row', { name: app }).count();
    leave(page);
    return { told, left };
  },
  async sign_out() {
    await context.clearCookies();
    return {};
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, op, ...request } = JSON.parse(line);
  let answer;
  try {
    const late = new Promise((_, reject) => setTimeout(() => reject(new Error(`${op} takes too long`)), OPERATION).unref());
    answer = { id, ok: true, ...(await Promise.race([operations[op](request), late])) };
  } catch (error) {
    const page = context.pages().at(-1);
    const text = page ? await page.locator('body').innerText({ timeout: 2_000 }).catch(() => '') : '';
    answer = { id, ok: false, error: { message: `${error.message.split('\n')[0]} at ${page?.url()}: ${text.slice(0, 600)}` } };
    if (page) leave(page);
  }
  process.stdout.write(JSON.stringify(answer) + '\n');
}
process.exit(0);
