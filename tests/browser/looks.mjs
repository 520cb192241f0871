// What holds for every page: nothing against axe, nothing in the console, nothing sideways, the whole job without script.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

// Runs in the page: whether it, or a dialog on it, is wider than what shows it.
const tooWide = () => {
  const wide = [document.documentElement, ...document.querySelectorAll('dialog[open]')];
  return wide.filter(box => box.scrollWidth > box.clientWidth + 1).map(box => {
    const edge = box.getBoundingClientRect().left + box.clientWidth;
    const out = [...box.querySelectorAll('*:not(.clip *)')].find(el => el.getBoundingClientRect().right > edge + 1);
    return `${box.tagName} is ${box.scrollWidth} px in ${box.clientWidth}, by ${out?.outerHTML.slice(0, 120)}`;
  });
};

// One visit, seen at each width in each scheme; `shot(scheme, width)` is where its screenshot goes.
export const lookAt = async (page, url, shot) => {
  const found = [];
  const heard = message => {
    // The pages of failures have the status of their failure, which the browser writes down.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) found.push(message.text());
  };
  const thrown = error => found.push(error.message);
  const missed = response => {
    if (response.status() >= 400 && response.url() !== url) found.push(`${response.status()} for ${response.url()}`);
  };
  page.on('console', heard).on('pageerror', thrown).on('response', missed);
  await page.goto(url, { waitUntil: 'load' });
  await page.evaluate(axe);
  for (const width of [1280, 390]) {
    await page.setViewportSize({ width, height: 900 });
    for (const scheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme: scheme });
      // A dialog covers the window, not the page: with the whole of it the dialog would stand in the middle.
      await page.screenshot({ path: shot(scheme, width), fullPage: !(await page.locator('dialog[open]').count()) });
      const { violations } = await page.evaluate(runAxe, scheme);
      for (const { id, impact, nodes } of violations) {
        const why = nodes[0].failureSummary.split('\n')[1];
        found.push(`${scheme} ${width} ${impact} ${id}: ${nodes[0].html.slice(0, 160)} (${nodes.length}×) ${why}`);
      }
    }
  }
  page.off('console', heard).off('pageerror', thrown).off('response', missed);
  for (const width of [390, 320, 1280]) found.push(...await sideways(page, width));
  return found;
};

// What axe says against the page as it stands.
export const judged = async page => {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(runAxe, 'light');
  return violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes[0].html.slice(0, 160)} (${nodes.length}×)`);
};

// Runs in the page. Between the schemes only colours differ.
const runAxe = scheme => {
  const values = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
  const runOnly = scheme === 'light' ? { type: 'tag', values } : { type: 'rule', values: ['color-contrast'] };
  return globalThis.axe.run(document, { runOnly, resultTypes: ['violations'] });
};

// What goes beyond the edge at this width.
export const sideways = async (page, width) => {
  await page.setViewportSize({ width, height: 900 });
  return (await page.evaluate(tooWide)).map(what => `at ${width} px ${what}`);
};

// Without script nothing is offered that needs it, a dialog is open, and every button that sends something can be reached.
export const lookWithoutScript = async (page, url) => {
  const found = [];
  await page.goto(url);
  if (await page.locator('[data-js]:visible').count()) found.push('something is offered that needs a script');
  const dialog = page.locator('dialog');
  const scope = await dialog.count() ? dialog : page.locator('main');
  if (!(await scope.first().isVisible())) found.push('the page does not show what it is about');
  for (const button of await scope.locator('button[type=submit]').all()) {
    // Those of a menu are behind its summary, which opens without script.
    const menu = button.locator('xpath=ancestor::details');
    if (await menu.count() === 0 && !(await button.isVisible())) found.push(`hidden: ${await button.textContent()}`);
  }
  return found;
};
