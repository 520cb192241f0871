// A PostgreSQL database as a data source, in the dashboard of the real server: what somebody fills in, gets wrong, and is told.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const SECRET = 'browser-canary-5511';
const PEM = `-----BEGIN CERTIFICATE-----\n${'MIIB'.repeat(16)}\nMIIB\n-----END CERTIFICATE-----`;

// A database in the cluster of tests/postgres/run, with a role that may read it and one that may do more.
async function make(word) {
  const cluster = process.env.SEQUEL_TEST_POSTGRES;
  if (!cluster) throw new Error('There is no PostgreSQL for these tests: run them with tests/postgres/run, which starts one.');
  const psql = (url, sql) => run(`${process.env.SEQUEL_TEST_POSTGRES_BIN ?? '/usr/bin'}/psql`, ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', url, '-c', sql]);
  const name = `browser_${word}_${process.pid}`;
  const { hostname, port } = new URL(cluster);
  await psql(cluster, `CREATE DATABASE ${name}`);
  const url = cluster.replace(/\/postgres$/, `/${name}`);
  await psql(url, `
    DO $$ BEGIN CREATE ROLE with_password; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
    CREATE TABLE sales (id int PRIMARY KEY, amount numeric(10,2));
    INSERT INTO sales VALUES (1, 9.50);
    CREATE ROLE ${name}_reader LOGIN PASSWORD '${SECRET}' IN ROLE with_password;
    CREATE ROLE ${name}_writer LOGIN PASSWORD '${SECRET}' IN ROLE with_password;
    CREATE ROLE ${name}_super LOGIN SUPERUSER PASSWORD '${SECRET}' IN ROLE with_password;
    GRANT SELECT ON sales TO ${name}_reader;
    GRANT SELECT, INSERT ON sales TO ${name}_writer`);
  const remove = async () => {
    await psql(cluster, `DROP DATABASE ${name} WITH (FORCE)`);
    for (const role of ['reader', 'writer', 'super']) await psql(cluster, `DROP ROLE ${name}_${role}`);
  };
  return { name, hostname, port, url: (role, password) => `postgres://${name}_${role}:${password}@${hostname}:${port}/${name}?sslmode=disable`, remove };
}

export async function databases({ word, page, hand, look, base, calls }) {
  const database = await make(word);
  try {
    await connect({ database, page, hand, look, base, calls });
  } finally {
    await database.remove();
  }
}

async function connect({ database, page, hand, look, base, calls }) {
  const button = text => page.getByRole('button', { name: text, exact: true });
  const link = text => page.getByRole('link', { name: text, exact: true });
  const told = text => page.getByText(text).first().waitFor();
  const field = label => page.getByLabel(label, { exact: true }).or(page.getByLabel(`${label} (optional)`, { exact: true }));
  const value = label => field(label).inputValue();
  const holdsNoSecret = async () => assert.ok(!(await page.content()).includes(SECRET), 'a secret stands in the page');

  // By URL: with a wrong password, and with the right one. Nothing but the secret has to be typed again.
  await page.goto(`${base}/sources/new/postgres`);
  await look('postgres-new');
  await hand.type('Name', 'sales');
  await hand.fill('Connection URL', database.url('reader', `not-${SECRET}`));
  await hand.fill('What is in it', 'What was sold.');
  await hand.press(button('Test and save'));
  await told('PostgreSQL does not let the user in');
  await look('postgres-wrong-password');
  assert.deepEqual([await value('Name'), await value('What is in it'), await value('Connection URL')], ['sales', 'What was sold.', '']);
  await holdsNoSecret();
  await hand.fill('Connection URL', database.url('reader', SECRET));
  await hand.press(button('Test and save'));
  await told('sales is connected.');
  await holdsNoSecret();
  await look('postgres-source');
  const at = page.url();
  await told('sealed');
  await hand.press(button('Test connection'));
  await told('It was opened read only and answered.');
  assert.match(await calls('SELECT id, amount FROM sales', 'sales'), /\[\[1,"9\.50"\]\]/);

  // Edited: an empty field keeps the password, another host wants it again, and tells so.
  await hand.press(link('Edit'));
  await told('Leave it empty to keep the one that is stored.');
  assert.deepEqual([await value('Password'), await value('Host'), await value('User')], ['', database.hostname, `${database.name}_reader`]);
  await holdsNoSecret();
  await hand.fill('Longest statement in seconds', '9');
  await look('postgres-edit');
  await hand.press(button('Test and save'));
  await told('sales was saved.');
  assert.match(await calls('SELECT id, amount FROM sales', 'sales'), /\[\[1,"9\.50"\]\]/);
  await hand.press(link('Edit'));
  await hand.fill('Host', 'localhost');
  await hand.press(button('Test and save'));
  await told('entered again');
  await look('postgres-moved');
  assert.equal(await value('Host'), 'localhost');
  await hand.fill('Password', `not-${SECRET}`);
  await hand.press(button('Test and save'));
  await told('PostgreSQL does not let the user in');
  await hand.fill('Password', SECRET);
  await hand.press(button('Test and save'));
  await told('sales was saved.');
  await holdsNoSecret();

  // By fields: a superuser is refused, a role that may write is told of, a certificate keeps its lines.
  await page.goto(`${base}/sources/new/postgres`);
  await hand.type('Name', 'sales again');
  await hand.fill('Host', database.hostname);
  await hand.fill('Port', database.port);
  await hand.fill('Database', database.name);
  await hand.fill('User', `${database.name}_super`);
  await hand.fill('Password', SECRET);
  await hand.choose(field('TLS'), 'disable');
  await hand.press(button('Test and save'));
  await told('could do far more than read');
  await look('postgres-superuser');
  await hand.fill('User', `${database.name}_writer`);
  await hand.fill('Password', SECRET);
  await hand.press(button('Test only'));
  await told('could change rows');
  await look('postgres-writer');
  assert.deepEqual([await value('Host'), await value('Database'), await value('TLS')], [database.hostname, database.name, 'disable']);
  await holdsNoSecret();
  await hand.choose(field('TLS'), 'verify-full');
  for (const label of ['Certificate authority', 'Client certificate', 'Key of the client certificate']) {
    assert.equal(await field(label).evaluate(el => el.tagName), 'TEXTAREA', label);
  }
  await field('Certificate authority').fill(PEM);
  await hand.fill('Password', SECRET);
  await hand.press(button('Test and save'));
  await page.locator('[aria-invalid=true], section[aria-labelledby=test]').first().waitFor();
  await look('postgres-certificate');
  assert.equal(await value('Certificate authority'), PEM);
  await field('Certificate authority').fill('');
  await hand.choose(field('TLS'), 'disable');
  await hand.fill('Password', SECRET);
  await hand.press(button('Test and save'));
  await told('sales again is connected.');
  await told('could change rows');
  await look('postgres-warned');

  // A network that the operator has not opened.
  await page.goto(`${base}/sources/new/postgres`);
  await hand.type('Name', 'elsewhere');
  await hand.fill('Connection URL', `postgres://u:${SECRET}@10.1.2.3/d`);
  await hand.press(button('Test and save'));
  await told('sources.network.allow');
  await holdsNoSecret();
  await look('postgres-network');

  // Both are removed, by their names.
  for (const name of ['sales', 'sales again']) {
    await page.goto(`${base}/sources`);
    await hand.press(link(name));
    await hand.press(link('Remove…'));
    await hand.type(`Type ${name} to confirm`, name);
    await look('postgres-remove');
    await hand.press(button('Remove data source'));
    await told(`${name} was removed.`);
  }
  assert.match(await calls('SELECT 1', 'sales'), /no data source|There is no data source/i);
  assert.equal((await page.goto(at)).status(), 404);
}
