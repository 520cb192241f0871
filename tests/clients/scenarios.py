"""What every client can rely on, written once for all of them.

Each function below is one scenario: it takes a `Case` and raises `Failed` where something does not
hold. Its docstring is its name in the report.
"""

import contextlib
import itertools
import shutil
import time

from driver import CLIENTS, Driver, Refused
from server import Failed

TOOLS = ["describe_table", "explain_query", "list_data_sources", "run_query", "search_schema"]
# THREATS 22 says one second; the rest is for a machine that builds at the same time.
STOP_SECONDS = 5
# Sequel says something after a quarter of a second and every second from then on.
HEARD_SECONDS = 20

_numbers = itertools.count(1)


class Case:
    """One client against the running server."""

    def __init__(self, client, server, truth):
        self.client, self.server, self.truth = client, server, truth

    @contextlib.contextmanager
    def connected(self, org=None):
        """A fresh key and a client that is connected with it; both are gone afterwards."""
        with self.key(org) as (_, key), Driver(self.client) as driver:
            driver.connect(self.server.url, key)
            yield driver

    @contextlib.contextmanager
    def key(self, org=None):
        name = f"{self.client} {next(_numbers)}"
        key = self.server.create_key(name, org)
        deleted = []
        try:
            yield (lambda: (self.server.delete_key(name, org), deleted.append(name))), key
        finally:
            if not deleted:
                self.server.delete_key(name, org)


def same(what, seen, expected):
    if seen != expected:
        raise Failed(f"{what}:\n  expected {expected!r}\n  saw      {seen!r}")


def holds(condition, message):
    if not condition:
        raise Failed(message)


def text_of(result):
    return "\n".join(block.get("text", "") for block in result.get("content", []))


def rows_of(driver, sql, **arguments):
    result = driver.call("run_query", sql=sql, **arguments)
    holds(not result.get("isError"), f"the query failed: {text_of(result)}")
    return result["structuredContent"]


def refusal(client, attempt):
    """`attempt` must end in a refusal: 401 with a challenge, as far as the client shows them."""
    try:
        attempt()
    except Refused as refused:
        if CLIENTS[client].shows_status:
            same("the status of the refusal", refused.status, 401)
        if CLIENTS[client].shows_status and CLIENTS[client].shows_challenge:
            challenge = refused.challenge or ""
            holds(challenge.startswith("Bearer"), f"the 401 comes without a Bearer challenge: {challenge!r}")
        return
    raise Failed("the deleted key still opens the door")


def lists_the_tools(case):
    """negotiates its protocol version and lists the tools"""
    with case.key() as (_, key), Driver(case.client) as driver:
        same("the protocol version", driver.connect(case.server.url, key), CLIENTS[case.client].protocol)
        tools = driver.ask("list_tools")["tools"]
        same("the tools", sorted(tool["name"] for tool in tools), TOOLS)
        for tool in tools:
            same(f"the kind of {tool['name']}'s arguments", tool["inputSchema"]["type"], "object")
            holds(tool.get("outputSchema"), f"{tool['name']} promises no output schema")
        driver.ask("close")


def names_the_data_source(case):
    """learns the data source's name and uses it"""
    with case.connected() as driver:
        sources = driver.call("list_data_sources")["structuredContent"]["data_sources"]
        same("the kinds of the sources", [source["kind"] for source in sources], [case.truth.kind])
        answer = rows_of(driver, "SELECT 1 AS one", source=sources[0]["name"])
        same("the answer's source", answer["source"], sources[0]["name"])
        same("the rows", answer["rows"], [[1]])


def joins(case):
    """gets exactly the rows of a join that the database itself gives"""
    with case.connected() as driver:
        for sql in (case.truth.join, case.truth.sums):
            names, rows = case.truth.ask(sql)
            holds(rows, f"the demo has no rows for {sql}")
            answer = rows_of(driver, sql)
            same("the columns", [column["name"] for column in answer["columns"]], names)
            same("the rows", answer["rows"], rows)
            same("the count", answer["row_count"], len(rows))
            same("whether it was cut", answer["truncated"], False)
            holds(isinstance(answer["elapsed_ms"], int), "elapsed_ms is no whole number")


def cuts_at_the_row_limit(case):
    """asks for few rows, gets them and is told that there are more"""
    _, rows = case.truth.ask(case.truth.join)
    with case.connected() as driver:
        answer = rows_of(driver, case.truth.join, row_limit=3)
        same("the rows", answer["rows"], rows[:3])
        same("the count", answer["row_count"], 3)
        same("whether it was cut", answer["truncated"], True)
        same("what cut it", answer["truncated_reason"], "rows")
        exact = rows_of(driver, case.truth.join, row_limit=len(rows))
        same("whether a limit that all rows fit in cuts", exact["truncated"], False)


def other_formats(case):
    """reads the rows as CSV and as Markdown too"""
    with case.connected() as driver:
        for form, line in (("csv", "one,two"), ("markdown", "| one | two |")):
            result = driver.call("run_query", sql="SELECT 1 AS one, 'x' AS two", format=form)
            holds(line in text_of(result), f"no line {line!r} in the {form} text: {text_of(result)!r}")
            same("the structured rows", result["structuredContent"]["rows"], [[1, "x"]])


def bad_sql(case):
    """is told what is wrong with wrong, writing and double SQL"""
    count = "SELECT count(*) FROM routes"
    before = case.truth.ask(count)
    with case.connected() as driver:
        for sql in ("SELECT * FROM no_such_table", "SELEC 1", "DELETE FROM routes", "SELECT 1; SELECT 2"):
            result = driver.call("run_query", sql=sql)
            holds(result.get("isError"), f"{sql!r} is not reported as an error: {text_of(result)!r}")
            holds(text_of(result).strip(), f"{sql!r} fails without a word")
        holds("no_such_table" in text_of(driver.call("run_query", sql="SELECT * FROM no_such_table")), "the missing table is not named")
        same("a right query afterwards", rows_of(driver, "SELECT 2 AS two")["rows"], [[2]])
    same("the rows afterwards", case.truth.ask(count), before)


def cancels(case):
    """gives up on an endless query, which stops, and asks on"""
    with case.connected() as driver:
        case.server.until_idle(STOP_SECONDS)
        endless = driver.begin_call("run_query", sql=case.truth.endless)
        case.server.until_busy()
        same("a query beside the endless one", rows_of(driver, "SELECT 1 AS one")["rows"], [[1]])
        driver.ask("cancel", target=endless)
        case.server.until_idle(STOP_SECONDS)
        with contextlib.suppress(Refused):
            result = driver.finish(endless)["result"]
            holds(result.get("isError"), "a query that never ends answered")
        same("a query afterwards", rows_of(driver, "SELECT 2 AS two")["rows"], [[2]])


def hears_how_far_a_query_is(case):
    """hears how far a long query is while it runs"""
    with case.connected() as driver:
        case.server.until_idle(STOP_SECONDS)
        endless = driver.begin("call", name="run_query", arguments={"sql": case.truth.endless}, progress=True)
        deadline = time.monotonic() + HEARD_SECONDS
        while len(notes := driver.ask("notes", target=endless)["notes"]) < 2:
            holds(time.monotonic() < deadline, f"within {HEARD_SECONDS} s it heard only {notes}")
            time.sleep(0.1)
        values = [note["progress"] for note in notes]
        same("the progress", values, sorted(set(values)))
        driver.ask("cancel", target=endless)
        case.server.until_idle(STOP_SECONDS)


def hears_of_a_source(case):
    """hears at once of a data source that comes and goes"""
    with case.connected() as driver:
        honored = driver.ask("listen")["honored"]
        same("what it is told of", {name for name, told in honored.items() if told}, {"resourcesListChanged"})
        path = case.server.data / "sources" / "second.sqlite"
        shutil.copy(case.server.data / "sources" / "flights.sqlite", path)
        for command in (("add", "second", "--path", str(path)), ("remove", "second", "--yes")):
            waiting = driver.begin("change")
            case.server.command("source", *command, "--org", case.server.org)
            same("what has changed", driver.finish(waiting, STOP_SECONDS)["change"], "resources")
        path.unlink()


def stays_in_its_organization(case):
    """sees nothing of another organization"""
    with case.connected() as ours:
        source = ours.call("list_data_sources")["structuredContent"]["data_sources"][0]["name"]
    org = case.server.create_org(f"rivals-of-{case.client}")
    with case.connected(org) as theirs:
        listed = theirs.call("list_data_sources")["structuredContent"]["data_sources"]
        same("the other organization's sources", listed, [])
        stranger = theirs.call("run_query", sql="SELECT 1", source=source)
        unknown = theirs.call("run_query", sql="SELECT 1", source="x" * len(source))
        holds(stranger.get("isError") and unknown.get("isError"), "a query on a foreign source is no error")
        # A foreign source and one that does not exist are told apart by nothing.
        same("the answer", text_of(stranger).replace(source, "x" * len(source)), text_of(unknown))


def deleted_key(case):
    """is refused on the very next call after its key is deleted, and on a fresh connect"""
    with case.key() as (delete, key), Driver(case.client) as driver:
        driver.connect(case.server.url, key)
        same("a query before", rows_of(driver, "SELECT 1 AS one")["rows"], [[1]])
        delete()
        refusal(case.client, lambda: driver.call("run_query", sql="SELECT 1 AS one"))
        with Driver(case.client) as fresh:
            refusal(case.client, lambda: fresh.connect(case.server.url, key))


def deleted_key_stops_its_query(case):
    """has its running query stopped when its key is deleted"""
    with case.key() as (delete, key), Driver(case.client) as driver:
        driver.connect(case.server.url, key)
        case.server.until_idle(STOP_SECONDS)
        endless = driver.begin_call("run_query", sql=case.truth.endless)
        case.server.until_busy()
        delete()
        case.server.until_idle(STOP_SECONDS)
        with contextlib.suppress(Refused):
            result = driver.finish(endless)["result"]
            holds(result.get("isError"), "a query that never ends answered")


def unknown_key(case):
    """is refused with a key that never was"""
    with case.key() as (_, key), Driver(case.client) as driver:
        forged = key[:30] + ("A" if key[30] != "A" else "B") + key[31:]
        refusal(case.client, lambda: driver.connect(case.server.url, forged))


# Scenario → the operation that a client needs for it beside the tools themselves.
NEEDS = {cancels: "cancel", hears_how_far_a_query_is: "notes", hears_of_a_source: "listen"}

EACH = [
    lists_the_tools,
    names_the_data_source,
    joins,
    cuts_at_the_row_limit,
    other_formats,
    bad_sql,
    cancels,
    hears_how_far_a_query_is,
    hears_of_a_source,
    stays_in_its_organization,
    unknown_key,
    deleted_key_stops_its_query,
    deleted_key,
]
