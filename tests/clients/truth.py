"""What the demo's database really holds, asked of SQLite itself and not of Sequel."""

import contextlib
import sqlite3

from server import Failed


# Flights with both of their airports and states, the latest first: text, whole numbers, coordinates and NULLs.
JOIN = """
SELECT f.id, f.departure, f.delay_minutes, f.distance_miles,
       o.name AS origin, o.latitude, os.name AS origin_state,
       d.name AS destination, d.longitude, ds.capital AS destination_capital
FROM flights f
JOIN airports o ON o.iata = f.origin
JOIN airports d ON d.iata = f.destination
LEFT JOIN states os ON os.code = o.state
LEFT JOIN states ds ON ds.code = d.state
ORDER BY f.delay_minutes DESC, f.id
LIMIT 40
"""

# The busiest states by what their airports send away: groups, sums and a right answer of another shape. Two decimals,
# because the JSON reader below the Rust client may miss the last bit of a longer fraction.
SUMS = """
SELECT s.name AS state, count(DISTINCT a.iata) AS airports, sum(r.flights_2008) AS flights, round(avg(r.flights_2008), 2) AS mean
FROM routes r JOIN airports a ON a.iata = r.origin JOIN states s ON s.code = a.state
GROUP BY s.code ORDER BY flights DESC, s.code LIMIT 20
"""


# Counts for ever without ever having a row to show.
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


class Truth:
    """The demo's database below a data folder, opened read-only."""

    kind, join, sums, endless = "sqlite", JOIN, SUMS, ENDLESS

    def __init__(self, data):
        found = [path for path in sorted(data.rglob("*")) if _is_demo(path)]
        if len(found) != 1:
            raise Failed(f"expected one demo database below the data folder, found {found}")
        self.path = found[0]

    def ask(self, sql):
        """Column names and rows, as lists."""
        with contextlib.closing(_open(self.path)) as database:
            cursor = database.execute(sql)
            return [column[0] for column in cursor.description], [list(row) for row in cursor]

    def tables(self):
        _, rows = self.ask("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY name")
        return [name for (name,) in rows]

    def columns(self, table):
        return [name for (name,) in self.ask(f"SELECT name FROM pragma_table_info('{table}')")[1]]


def _open(path):
    return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)


def _is_demo(path):
    if not path.is_file() or path.open("rb").read(16) != b"SQLite format 3\0":
        return False
    with contextlib.closing(_open(path)) as database:
        names = {name for (name,) in database.execute("SELECT name FROM sqlite_schema")}
        return {"flights", "airports", "states"} <= names
