"""The demo's data in a PostgreSQL database, connected in the place of the demo's own file, and what is really in it: asked of
PostgreSQL itself, by `psql`, and not of Sequel.
"""

import contextlib
import itertools
import os
import secrets
import sqlite3
import subprocess
import tempfile

import truth
from server import Failed

_numbers = itertools.count()
# Between cells and for NULL, as psql prints them: nothing that stands in the demo's data.
CELL, NULL = "\x1f", "\x1d"
TYPES = {"INTEGER": "bigint", "REAL": "double precision", "TEXT": "text", "": "text"}
READ = {"bigint": int, "integer": int, "double precision": float}


class Postgres:
    """A database of its own in the cluster of tests/postgres/run, with a role that may read it. Use as a context manager."""

    kind = "postgres"
    # SQLite counts NULL as less than everything, PostgreSQL as more.
    join = truth.JOIN.replace("f.delay_minutes DESC,", "f.delay_minutes DESC NULLS LAST,")
    sums = truth.SUMS
    # Counts for longer than anybody waits, on one processor and without a file.
    endless = "SELECT count(*) FROM generate_series(1, 10000) a, generate_series(1, 10000) b, generate_series(1, 10000) c"

    def __init__(self, demo):
        self.cluster = os.environ.get("SEQUEL_TEST_POSTGRES")
        if not self.cluster:
            raise SystemExit("There is no PostgreSQL for these tests: run them with tests/postgres/run, which starts one.")
        self.name = f"clients_source_{os.getpid()}_{next(_numbers)}"
        self.url = f"{self.cluster.rsplit('/', 1)[0]}/{self.name}"
        self.password = secrets.token_hex(16)
        self.demo = demo

    def __enter__(self):
        self._psql(f"CREATE DATABASE {self.name}", self.cluster)
        self._psql(f"CREATE ROLE {self.name} LOGIN PASSWORD '{self.password}'")
        with contextlib.closing(sqlite3.connect(f"{self.demo.as_uri()}?mode=ro", uri=True)) as database:
            for (table,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").fetchall():
                self._copy(database, table)
        self._psql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {self.name}; ANALYZE")
        return self

    def __exit__(self, *_):
        self._psql(f"DROP DATABASE {self.name} WITH (FORCE)", self.cluster)
        self._psql(f"DROP ROLE {self.name}", self.cluster)

    def connect(self, server):
        """Connects it to the demo's organization, under the name of the file that was there."""
        listed = server.command("source", "list", "--org", server.org, "--json")
        (source,) = listed["sources"]
        server.command("source", "remove", source["name"], "--org", server.org, "--yes")
        place = self.url.split("@", 1)[1]
        with tempfile.NamedTemporaryFile("w", dir=server.folder.name) as file:
            file.write(f"postgres://{self.name}:{self.password}@{place}?sslmode=disable")
            file.flush()
            server.command("source", "add", source["name"], "--org", server.org, "--kind", "postgres", "--url-file", file.name)
        server.secrets.append(self.password)
        server.database = self

    def ask(self, sql):
        """Column names and rows, as lists; numbers as numbers, everything else in PostgreSQL's own words."""
        described = self._psql(f"{sql.strip()} \\gdesc\n")
        columns = [line.split(CELL) for line in _lines(described)]
        read = [READ.get(kind, str) for _, kind in columns]
        cells = [zip(read, line.split(CELL)) for line in _lines(self._psql(sql))]
        rows = [[None if cell == NULL else of(cell) for of, cell in row] for row in cells]
        return [name for name, _ in columns], rows

    def tables(self):
        """As Sequel names them: with their schemas."""
        _, rows = self.ask("SELECT 'public.' || relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v') ORDER BY 1")
        return [name for (name,) in rows]

    def columns(self, table):
        sql = f"SELECT attname::text FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
        return [name for (name,) in self.ask(sql)[1]]

    def is_busy(self):
        """Whether something is carried out for Sequel."""
        _, rows = self.ask(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{self.name}' AND state = 'active'")
        return rows != [[0]]

    def _copy(self, database, table):
        columns = database.execute(f"SELECT name, type, pk FROM pragma_table_info('{table}') ORDER BY cid").fetchall()
        key = [name for name, _, at in sorted(columns, key=lambda column: column[2]) if at]
        lines = [f"{name} {TYPES[kind.upper()]}" for name, kind, _ in columns] + ([f"PRIMARY KEY ({', '.join(key)})"] if key else [])
        self._psql(f"CREATE TABLE {table} ({', '.join(lines)})")
        rows = database.execute(f"SELECT * FROM {table}")
        copied = "\n".join("\t".join(map(_copied, row)) for row in rows)
        self._psql(f"COPY {table} FROM STDIN;\n{copied}\n\\.\n")

    def _psql(self, sql, url=None):
        psql = os.path.join(os.environ.get("SEQUEL_TEST_POSTGRES_BIN", ""), "psql")
        command = [psql, "-X", "-q", "-A", "-t", "-F", CELL, "-P", f"null={NULL}", "-v", "ON_ERROR_STOP=1", "-d", url or self.url]
        ran = subprocess.run(command, input=sql, capture_output=True, text=True, timeout=60)
        if ran.returncode:
            raise Failed(f"psql refuses {sql[:200]!r}: {ran.stderr.strip()}")
        return ran.stdout


def _lines(printed):
    # `splitlines` would take NULL for the end of one.
    return printed.removesuffix("\n").split("\n") if printed else []


def _copied(value):
    if value is None:
        return "\\N"
    return str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
