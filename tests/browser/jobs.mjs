// What the script adds, and what must not be lost: by keyboard and by mouse.

import assert from 'node:assert/strict';

const open = (page, base, name) => page.goto(`${base}/pages/${name}`);
const focused = page => page.evaluate(() => document.activeElement.textContent.trim());
const clipboard = page => page.evaluate(() => navigator.clipboard.readText());

export const jobs = {
  async 'the first stop of the keyboard skips the navigation'(page, base) {
    await open(page, base, 'keys/typical');
    await page.keyboard.press('Tab');
    assert.equal(await focused(page), 'Skip to content');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
  },

  async 'whoever uses the keyboard sees where they are'(page, base) {
    await open(page, base, 'keys/typical');
    for (let stop = 0; stop < 30; stop += 1) {
      await page.keyboard.press('Tab');
      const ring = await page.evaluate(() => {
        const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
        return `${outlineStyle} ${outlineWidth}`;
      });
      assert.equal(ring, 'solid 2px');
    }
  },

  async 'a new key is copied by one press, and says so'(page, base) {
    await open(page, base, 'keys/shown');
    assert.equal(await focused(page), 'Copy key');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Copied to the clipboard' }).waitFor();
    const shown = (await page.locator('#secret').textContent()).trim();
    assert.match(shown, /^sql_/);
    assert.equal(await clipboard(page), shown);
    await page.waitForFunction(() => document.getElementById('say').textContent === 'Copied to the clipboard');
  },

  async 'a new key is not lost to Escape'(page, base) {
    await open(page, base, 'keys/shown');
    for (let press = 0; press < 3; press += 1) await page.keyboard.press('Escape');
    assert.ok(await page.locator('dialog').isVisible());
    await page.mouse.click(5, 5);
    for (let press = 0; press < 3; press += 1) await page.keyboard.press('Escape');
    assert.ok(await page.locator('dialog').isVisible());
  },

  async 'other dialogs close with Escape'(page, base) {
    await open(page, base, 'keys/create');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'name');
    await page.keyboard.press('Escape');
    await page.locator('dialog').waitFor({ state: 'hidden' });
  },

  async 'without a connection nothing is sent and nothing is lost'(page, base) {
    await open(page, base, 'keys/create');
    await page.getByLabel('Name', { exact: true }).fill('nightly report');
    await page.context().setOffline(true);
    const told = page.waitForEvent('dialog');
    const pressed = page.getByRole('button', { name: 'Create key' }).click();
    const dialog = await told;
    assert.match(dialog.message(), /^You are offline/);
    await dialog.accept();
    await pressed;
    await page.context().setOffline(false);
    assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'nightly report');
    const sent = page.waitForRequest(request => request.method() === 'POST');
    await page.getByRole('button', { name: 'Create key' }).click();
    assert.match((await sent).postData(), /name=nightly\+report/);
  },

  async 'an app is allowed by keyboard alone, in the organization that was picked'(page, base) {
    await open(page, base, 'consent/typical');
    let sent = null;
    await page.route('**/oauth/consent', (route, request) => {
      sent = new URLSearchParams(request.postData());
      return route.fulfill({ body: 'sent' });
    });
    // Nothing is picked for anybody: a click that was meant for another page is held back here.
    await page.getByRole('button', { name: 'Allow' }).dblclick();
    assert.equal(sent, null);
    const hidden = page.getByRole('checkbox', { name: 'demo' });
    assert.ok(!await hidden.isVisible());
    await page.locator('#org-4nQx0cRrT1aZ').focus();
    await page.keyboard.press('Space');
    assert.ok(await hidden.isVisible());
    await page.keyboard.press('ArrowDown');
    assert.ok(!await hidden.isVisible());
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'days');
    // Deny comes first, and Allow is not where a careless Enter would find it.
    await page.keyboard.press('Tab');
    assert.equal(await focused(page), 'Deny');
    await page.keyboard.press('Tab');
    assert.equal(await focused(page), 'Allow');
    await page.keyboard.press('Enter');
    await page.getByText('sent').waitFor();
    assert.deepEqual([sent.get('decision'), sent.get('org'), sent.get('all')], ['approve', '8bZk2mPq5LxW', '8bZk2mPq5LxW']);
  },

  async 'a key is deleted only once its name was typed'(page, base) {
    await open(page, base, 'keys/delete');
    const button = page.getByRole('button', { name: 'Delete key' });
    assert.equal(await button.getAttribute('aria-disabled'), 'true');
    await page.keyboard.type('nightly');
    // The driver waits for a button that says it is disabled; a person does not.
    await button.click({ force: true });
    assert.equal(await page.locator('#confirm').getAttribute('aria-invalid'), 'true');
    assert.ok(page.url().endsWith('/pages/keys/delete'));
    await page.keyboard.type('-rain-report');
    assert.equal(await button.getAttribute('aria-disabled'), 'false');
    await page.keyboard.press('Enter');
    await page.waitForURL('**/keys/b3TzR9uW2e/delete');
  },

  async 'two clicks send one form, and the browser tells whose it is'(page, base) {
    await open(page, base, 'keys/create');
    await page.locator('#name').fill('x');
    const before = await page.request.post(`${base}/count`).then(answer => answer.text());
    const count = text => Number(/<title>(\d+)/.exec(text)[1]);
    await page.getByRole('button', { name: 'Create key' }).dblclick();
    await page.waitForURL('**/keys/new');
    const title = await page.title();
    const after = await page.request.post(`${base}/count`).then(answer => answer.text());
    assert.equal(count(after), count(before) + 2, 'one form, and the second count itself');
    assert.equal(title.split(' ')[1], base, 'the Origin of a form of our own');
  },

  async 'a form that was sent works again after going back'(page, base) {
    await open(page, base, 'keys/create');
    await page.locator('#name').fill('x');
    await page.getByRole('button', { name: 'Create key' }).click();
    await page.waitForURL('**/keys/new');
    await page.goBack();
    await page.locator('#name').fill('y');
    await page.getByRole('button', { name: 'Create key' }).click();
    await page.waitForURL('**/keys/new');
  },

  async 'a menu opens, closes with Escape and gives the focus back'(page, base) {
    await open(page, base, 'keys/typical');
    const summary = page.locator('.list .menu summary').first();
    await summary.focus();
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Disable' }).first().waitFor();
    await page.keyboard.press('Escape');
    assert.equal(await page.locator('.menu[open]').count(), 0);
    assert.ok(await summary.evaluate(el => el === document.activeElement));
    await summary.click();
    await page.mouse.click(600, 20);
    assert.equal(await page.locator('.menu[open]').count(), 0);
  },

  async 'the list is filtered while one types, and the count is said'(page, base) {
    await open(page, base, 'keys/typical');
    await page.locator('#q').pressSequentially('RAIN');
    assert.equal(await page.locator('#keys tr:visible').count(), 1);
    await page.waitForFunction(() => document.getElementById('say').textContent === '1 shown');
  },

  async 'on a phone the navigation opens, with the keyboard too'(page, base) {
    await page.setViewportSize({ width: 390, height: 800 });
    await open(page, base, 'keys/typical');
    const link = page.getByRole('link', { name: 'Audit log' });
    assert.ok(!(await link.isVisible()));
    await page.getByRole('button', { name: 'Menu' }).focus();
    await page.keyboard.press('Enter');
    await link.waitFor();
    await page.keyboard.press('Escape');
    await link.waitFor({ state: 'hidden' });
  },

  async 'a snippet is copied as it is, and the first call arrives by itself'(page, base) {
    await open(page, base, 'install/claude-code');
    await page.getByRole('button', { name: 'Copy' }).click();
    await page.getByRole('button', { name: 'Copied' }).waitFor();
    assert.match(await clipboard(page), /^claude mcp add --scope user --transport http sequel https:\/\/\S+ --header "Authorization: Bearer sql_\w{71}"$/);
    await page.getByText('Claude Code called list_data_sources, just now').waitFor({ timeout: 15000 });
    assert.ok(!(await page.locator('.pulse').isVisible()));
  },

  async 'a notice of what happened can be closed'(page, base) {
    await open(page, base, 'keys/toast');
    await page.getByRole('button', { name: 'Close' }).click();
    assert.equal(await page.locator('.toast').count(), 0);
  },

  async 'the choice of sources unfolds where it is needed'(page, base) {
    await open(page, base, 'keys/create');
    const sources = page.getByLabel('flights SQLite');
    assert.ok(!(await sources.isVisible()));
    await page.getByLabel('Only these').check();
    await sources.waitFor();
  },
};
