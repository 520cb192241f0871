// The main job of every room, on the real server, by the hand that it is given: keys with their limits and their end,
// members, the trail, data sources, organizations, one's own account. What each does is looked at from outside as well.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

// `calls(key)` is the status that a key meets; `command(...words)` what the command line prints.
export async function rooms({ page, hand, look, base, calls, command, password }) {
  const narrow = page.viewportSize().width < 900;
  const button = text => page.getByRole('button', { name: text, exact: true });
  const link = text => page.getByRole('link', { name: text, exact: true });
  const told = text => page.getByText(text).first().waitFor();
  const menu = async () => { if (narrow) await hand.press(button('Menu')); };
  const shown = async () => {
    await page.getByRole('heading', { name: 'Copy your key now' }).waitFor();
    const key = (await page.locator('#secret').textContent()).trim();
    await hand.press(link('I have saved it'));
    return key;
  };

  // A key that reaches one source and ends in 30 days; rotated, edited, disabled, stopped because it leaked, replaced.
  await page.goto(`${base}/keys/new`);
  await hand.type('Name', 'ci robot');
  await hand.tick(page.getByLabel('Only these'));
  await hand.tick(page.getByLabel('weather SQLite'));
  await hand.choose(page.getByLabel('Expires'), '30d');
  await look('key-limited');
  await hand.press(button('Create key'));
  const first = await shown();
  const at = `${base}/keys/${first.slice(4, 14)}`;
  await page.goto(at);
  await told('in 30 days');
  await look('key');
  await hand.press(link('Rotate'));
  await hand.choose(page.getByLabel('The old secret stops'), '3600');
  await look('key-rotate');
  await hand.press(button('Rotate key'));
  const second = await shown();
  assert.deepEqual([await calls(first), await calls(second)], [200, 200]);
  await page.goto(at);
  await hand.press(link('Edit'));
  await hand.fill('Name', 'ci robot 2');
  await look('key-edit');
  await hand.press(button('Save'));
  await told('ci robot 2 was saved.');
  await hand.press(button('Disable'));
  await told('is disabled.');
  assert.equal(await calls(second), 401);
  await hand.press(button('Enable'));
  await told('works again.');
  await page.goto(`${base}/keys/leaked`);
  await hand.type('Key or prefix', second.slice(0, 14));
  await hand.press(button('Find it'));
  await told('This key works right now.');
  await look('leaked');
  await hand.press(button('Replace it now'));
  const third = await shown();
  assert.deepEqual([await calls(first), await calls(second), await calls(third)], [401, 401, 200]);
  await page.goto(`${base}/keys/leaked?key=${third.slice(0, 14)}`);
  await hand.press(button('Stop it now'));
  await told('is stopped.');
  assert.equal(await calls(third), 401);

  // Somebody is invited, comes in by the link, gets another role, and is removed.
  await page.goto(`${base}/members/invite`);
  await hand.type('Email', 'eve@example.com');
  await hand.press(button('Invite'));
  const invitation = (await page.locator('#link').textContent()).trim();
  await look('invite-link');
  const theirs = await page.context().browser().newContext();
  const eve = await theirs.newPage();
  await eve.goto(invitation);
  await eve.getByLabel('Choose a password').fill(`${password} eve`);
  await eve.getByRole('button', { name: 'Create account and join' }).click();
  await eve.getByRole('heading', { name: 'Overview' }).or(eve.getByRole('heading', { name: /Three steps/ })).waitFor();
  await page.goto(`${base}/members`);
  await hand.press(page.getByLabel('Change eve@example.com'));
  await hand.choose(page.getByLabel('Role'), 'viewer');
  await look('role');
  await hand.press(button('Save role'));
  await told('eve@example.com is a viewer now.');
  assert.equal((await eve.goto(`${base}/keys/new`)).status(), 403);
  await hand.press(page.getByLabel('Change eve@example.com'));
  await hand.press(link('Remove…'));
  await look('member-remove');
  await hand.press(button('Remove'));
  await told('eve@example.com was removed.');
  assert.equal((await eve.goto(base)).status(), 404);
  await theirs.close();

  // The trail: filtered, one entry, taken along.
  await page.goto(`${base}/audit`);
  await hand.choose(page.getByLabel('What', { exact: true }), 'key');
  await hand.press(button('Filter'));
  await page.waitForURL(/what=key/);
  assert.equal(await page.getByText('member.invite').count(), 0);
  await look('audit-filtered');
  const saved = page.waitForEvent('download');
  await hand.press(link('Export'));
  const taken = JSON.parse(readFileSync(await (await saved).path(), 'utf8'));
  assert.ok(taken.complete && taken.entries.every(entry => entry.action.startsWith('key.')));
  await hand.press(page.getByRole('link', { name: 'key.rotate' }).first());
  await look('audit-entry');

  // A data source is tested, edited, removed.
  await page.goto(`${base}/sources`);
  await hand.press(link('weather'));
  await hand.press(button('Test connection'));
  await told('It was opened read only and answered.');
  await hand.press(link('Edit'));
  await hand.fill('What is in it', 'Rain by day.');
  await look('source-edit');
  await hand.press(button('Test and save'));
  await told('weather was saved.');
  await hand.press(link('Remove…'));
  await look('source-remove');
  await hand.type('Type weather to confirm', 'weather');
  await hand.press(button('Remove data source'));
  await told('weather was removed.');

  // Another organization, by the switcher and back; a new name; the end, and the way back.
  await menu();
  await hand.press(page.locator('details.org summary'));
  await hand.press(link('New organization'));
  await hand.type('Name', 'Southwind');
  await look('org-new');
  await hand.press(button('Create organization'));
  await told('Southwind was created.');
  const other = page.url();
  await menu();
  await hand.press(page.locator('details.org summary'));
  await hand.press(page.locator('details.org').getByRole('link', { name: 'Northwind Traders' }));
  await page.waitForURL(base);
  await page.goto(`${other}/settings`);
  await hand.fill('Name', 'Westwind');
  await hand.press(button('Save name'));
  await told('The organization is called Westwind now.');
  await hand.press(link('Delete…'));
  await look('org-delete');
  await hand.type('Type Westwind to confirm', 'Westwind');
  await hand.press(button('Delete organization'));
  await told('Westwind is deleted');
  await page.goto(new URL('/orgs/new', base).href);
  await look('org-deleted-list');
  await hand.press(link('Bring Westwind back'));
  await hand.press(button('Bring it back'));
  await told('Westwind is back');

  // One's own account: a name, another password, the end of a session elsewhere; a forgotten password by the operator's link.
  const elsewhere = await page.context().browser().newContext();
  const phone = await elsewhere.newPage();
  const signIn = async (page, word) => {
    await page.goto(new URL('/sign-in', base).href);
    await page.getByLabel('Email', { exact: true }).fill('ada@example.com');
    await page.getByLabel('Password', { exact: true }).fill(word);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.waitForURL(url => !url.pathname.startsWith('/sign-in'));
  };
  await signIn(phone, password);
  await page.goto(new URL('/account', base).href);
  await look('sessions');
  await hand.press(button('Sign out everywhere else'));
  await told('You are signed out everywhere else.');
  await phone.goto(new URL('/account', base).href);
  assert.match(phone.url(), /sign-in/);
  await hand.fill('Name', 'Ada Lovelace');
  await hand.press(button('Save name'));
  await told('Your name was changed.');
  await hand.type('Present password', password);
  await hand.type('New password', `${password} two`);
  await hand.press(button('Change password'));
  await told('Your password was changed');
  await phone.goto(new URL('/forgot', base).href);
  await phone.getByText('sequel user reset-password').waitFor();
  const reset = (await command('user', 'reset-password', 'ada@example.com', '--json')).link;
  await page.goto(reset);
  await look('reset');
  await hand.type('New password', password);
  await hand.press(button('Set password'));
  await told('Your password was changed. Sign in with the new one.');
  await signIn(page, password);
  await elsewhere.close();
}
