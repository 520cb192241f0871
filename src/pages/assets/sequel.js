// Sequel: everything here is an addition. Each page works without it.
(() => {
  const on = (type, selector, act) => document.addEventListener(type, e => {
    const hit = e.target.closest?.(selector);
    if (hit) act(hit, e);
  });
  const say = text => {
    const box = document.getElementById('say');
    if (box) { box.textContent = ''; setTimeout(() => { box.textContent = text; }, 50); }
  };
  // Icons are parts of one file: only the part is exchanged.
  const icon = (el, name) => {
    const use = el.querySelector('use');
    use?.setAttribute('href', use.getAttribute('href').replace(/#.*/, '#' + name));
  };

  // What needs script is hidden until here.
  for (const el of document.querySelectorAll('[data-js]')) el.hidden = false;

  // An open dialog becomes a true modal.
  for (const d of document.querySelectorAll('dialog[open]')) { d.close(); d.showModal(); }
  on('click', 'dialog [data-close]', (el, e) => { e.preventDefault(); el.closest('dialog').close(); });
  // A key shown once survives Escape, without closedby too.
  document.addEventListener('keydown', e => {
    if (e.key === 'Escape' && document.querySelector('dialog[open][closedby=none]')) e.preventDefault();
  }, true);

  // Copy, on plain http too, without navigator.clipboard.
  on('click', '[data-copy]', async el => {
    const from = document.getElementById(el.dataset.copy);
    const label = el.querySelector('span') ?? el;
    try {
      await navigator.clipboard.writeText(from.textContent.trim());
    } catch {
      getSelection().selectAllChildren(from);
      if (!document.execCommand('copy')) { say('Selected. Press Ctrl+C or ⌘C to copy.'); return; }
    }
    const was = el.dataset.was ??= label.textContent;
    label.textContent = el.dataset.done ?? 'Copied';
    icon(el, 'check');
    el.classList.add('done');
    say('Copied to the clipboard');
    if (!el.dataset.done) setTimeout(() => { label.textContent = was; icon(el, 'copy'); el.classList.remove('done'); }, 2500);
  });

  // Menus: one open at a time; a click or Escape closes.
  document.addEventListener('click', e => {
    const mine = e.target.closest?.('.menu');
    for (const m of document.querySelectorAll('.menu[open]')) if (m !== mine) m.open = false;
  });
  document.addEventListener('keydown', e => {
    const menu = document.querySelector('.menu[open]');
    if (e.key === 'Escape' && menu) { menu.open = false; menu.querySelector('summary').focus(); }
  });

  // Filter a list by what is typed. Without script the server does.
  on('input', '[data-filter]', el => {
    const want = el.value.trim().toLowerCase();
    let left = 0;
    for (const row of document.getElementById(el.dataset.filter).children) {
      row.hidden = !row.textContent.toLowerCase().includes(want);
      if (!row.hidden) left += 1;
    }
    say(left + ' shown');
  });

  // Type the name to confirm. The server checks.
  const shown = t => t.trim().replace(/\s+/g, ' ');
  const match = el => {
    const same = shown(el.value) === shown(el.dataset.expect);
    if (same) el.removeAttribute('aria-invalid');
    el.form.querySelector('[type=submit]').setAttribute('aria-disabled', String(!same));
  };
  document.querySelectorAll('[data-expect]').forEach(match);
  on('input', '[data-expect]', match);
  // One click, one submit; a disabled button says why.
  document.addEventListener('submit', e => {
    const form = e.target, go = e.submitter ?? form.querySelector('[type=submit]');
    const field = form.querySelector('[data-expect]');
    if (form.dataset.sent || go?.ariaDisabled === 'true') {
      e.preventDefault();
      if (field && !form.dataset.sent) { field.setAttribute('aria-invalid', 'true'); field.focus(); }
    } else if (form.method === 'post' && !navigator.onLine) {
      e.preventDefault();
      alert('You are offline. Nothing was sent.');
    } else if (form.method === 'post') {
      form.dataset.sent = '1';
      go?.setAttribute('aria-disabled', 'true');
    }
  });
  // Back to a page that a submit left: its form works again.
  addEventListener('pageshow', () => {
    for (const form of document.querySelectorAll('form[data-sent]')) {
      delete form.dataset.sent;
      form.querySelector('[type=submit]')?.removeAttribute('aria-disabled');
    }
  });
  on('click', '.toast [data-close]', el => el.closest('.toast').remove());

  // Wait for the first call: 204 while there is none, then one line of text.
  const live = document.querySelector('[data-live]');
  const look = async () => {
    // A redirect asks to sign in: no answer to this.
    const answer = await fetch(live.dataset.live, { redirect: 'error' }).catch(() => null);
    if (answer?.status !== 200) {
      if (answer?.status !== 404) setTimeout(look, answer?.ok ? 2000 : 9000);
      return;
    }
    live.querySelector('[role=status]').textContent = await answer.text();
    live.querySelector('.pulse').hidden = true;
    live.querySelector('.i').removeAttribute('hidden');
  };
  if (live) look();
})();
