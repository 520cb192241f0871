#!/usr/bin/env python3
"""Real clients that sign in, and a person who lets them, on Sequel's own pages in a real browser (README.md).

    signing_in.py [--client NAME]… [--only WORD]

Each registers by itself, opens the browser, is let into one organization, calls, outlives its access token, calls again,
is revoked in the dashboard, and is refused. Needs what `tests/run` installs. Exit code 0 only if all holds.
"""

import argparse
import contextlib
import sys
import time
from urllib.parse import parse_qs, urlsplit

import profiles
from applications import QUESTION, WISH, asked, same, shows
from driver import CLIENTS, Driver, Refused, missing
from replay import replayed
from run import Report, not_let_out
from scenarios import rows_of
from sealed import HERE, Home, node
from server import Failed, Server

# How long an access token lives here: shortened, so that each client has to refresh once.
ACCESS_SECONDS = 5
SETTINGS = {
    "SEQUEL__OAUTH__ACCESS_SECONDS": str(ACCESS_SECONDS),
    # All clients of this run come from one address within a minute or two.
    "SEQUEL__OAUTH__REGISTRATIONS_PER_MINUTE_PER_SOURCE": "1000",
}.items()
SECONDS = 60
# How long a client that was revoked may take to find out.
REFUSED_SECONDS = 20
OTHER_ORG = "Reading Room"

# What each client calls itself.
NAMES = {
    "ts1": "sequel-tests-ts1",
    "ts2": "sequel-tests-ts2",
    "ts2-auto": "sequel-tests-ts2",
    "python": "sequel-tests-python",
    "python-legacy": "sequel-tests-python",
    "fastmcp": "FastMCP Client",
    "rmcp": "sequel-tests-rmcp",
    "rmcp-auto": "sequel-tests-rmcp",
    "mcp-remote": "MCP CLI Proxy",
    "mcp-remote-auto": "MCP CLI Proxy",
    "inspector": "MCP Inspector",
    "inspector-modern": "MCP Inspector",
    "codex": "Codex",
}


def holds(condition, message):
    if not condition:
        raise Failed(message)


class Person(Driver):
    """Somebody at a browser who belongs to two organizations."""

    def __init__(self):
        super().__init__("person", [node(), str(HERE / "person.mjs")])

    def authorize(self, url, org="demo", answer="Allow", caught=None):
        """Answers a client's question as a careful person would: after having read it."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        seen = self.ask("authorize", url=url, org=org, answer=answer, caught=caught)
        to = urlsplit(asked["redirect_uri"])
        host = to.hostname if to.scheme in ("http", "https") else f"{to.scheme}:"
        holds(host in seen["text"], f"the page does not say that the answer goes to {host}: {seen['text']}")
        holds("cannot verify" in seen["text"], f"the page does not say that the name is unverified: {seen['text']}")
        same("what the browser refused", seen["blocked"], [])
        same("where the answer goes", seen["answer"].partition("?")[0], asked["redirect_uri"])
        return seen


class Case:
    def __init__(self, server, person):
        self.server, self.person = server, person

    @contextlib.contextmanager
    def signing_in(self, client, **how):
        """A client that opens the browser, and what came of its connecting: the number of a request under way."""
        with Driver(client) as driver:
            connecting = driver.begin("connect", url=self.server.url, key=None)
            url = driver.url_to_open(0)
            holds(url, f"it opens no browser within {SECONDS} s: {driver.error_tail()}")
            seen = self.person.authorize(url, **how)
            yield driver, connecting, seen

    def revoked(self, client):
        gone = self.person.ask("revoke", app=NAMES[client], org="demo")
        holds("can no longer read demo" in gone["told"], f"the dashboard says {gone['told']!r}")
        same("the rows that are left", gone["left"], 0)


def refused(driver):
    """The next call has no rows: the client says so, or opens the browser to sign in anew."""
    opened = len(driver.home.urls())
    calling = driver.begin_call("run_query", sql="SELECT 1 AS one")
    deadline = time.monotonic() + REFUSED_SECONDS
    while time.monotonic() < deadline:
        if driver.has_answered(calling):
            try:
                result = driver.finish(calling)["result"]
            except Refused:
                return
            raise Failed(f"the revoked client gets {result!r}")
        if len(driver.home.urls()) > opened:
            return
        time.sleep(0.05)
    raise Failed(f"{REFUSED_SECONDS} s after the revoke it knows of none")


def whole(case, client):
    """registers, signs in, calls, outlives its access token, and is refused once it is revoked"""
    case.person.ask("sign_out")
    with case.signing_in(client) as (driver, connecting, seen):
        holds(NAMES[client] in seen["question"], f"the question is {seen['question']!r}")
        same("whether one had to sign in", seen["signed_in"], True)
        driver.finish(connecting)
        same("a query", rows_of(driver, "SELECT 1 AS one")["rows"], [[1]])
        time.sleep(ACCESS_SECONDS + 1)
        same("a query after the access token has ended", rows_of(driver, "SELECT 2 AS two")["rows"], [[2]])
        same("how often the browser was opened", len(driver.home.urls()), 1)
        case.revoked(client)
        refused(driver)


def denied(case, client):
    """is told when the person denies, and connects nothing"""
    with case.signing_in(client, answer="Deny") as (driver, connecting, seen):
        holds("error=access_denied" in seen["answer"], f"the client is answered {seen['answer']!r}")
        # How it words that is its own affair.
        with contextlib.suppress(Refused):
            raise Failed(f"it is connected although the person denied: {driver.finish(connecting)}")


def elsewhere(case, client):
    """sees the organization that the person picked, and nothing of the other"""
    with case.signing_in(client, org=OTHER_ORG) as (driver, connecting, _):
        driver.finish(connecting)
        listed = driver.call("list_data_sources")["structuredContent"]["data_sources"]
        same("the data sources of the other organization", listed, [])


def claude_code(case):
    """Claude Code signs in at its own terminal, its model gets rows, refreshes, and is refused once it is revoked"""
    with Home("claude-code") as home:
        def run(*command, **more):
            return home.run(command, 2 * SECONDS, **more)[0]

        class Place:
            """What `asked` wants of one."""

            @staticmethod
            def run(command, **more):
                return home.run(command, 2 * SECONDS, **more)

        def environment(url):
            return {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "sk-none", "ENABLE_TOOL_SEARCH": "false"}

        ask = ["claude", "-p", QUESTION, "--allowedTools", "mcp__sequel__run_query"]
        run("claude", "mcp", "add", "--transport", "http", "--scope", "user", "sequel", case.server.url)
        shows(run("claude", "mcp", "list"), r"sequel: \S+ \(HTTP\) - . Needs authentication")
        with home.terminal(["claude", "mcp", "login", "sequel"]) as (process, output):
            deadline = time.monotonic() + SECONDS
            while not home.urls():
                holds(time.monotonic() < deadline, f"it opens no browser: {''.join(output)}")
                time.sleep(0.05)
            seen = case.person.authorize(home.urls()[0])
            holds("Claude Code" in seen["question"], f"the question is {seen['question']!r}")
            same("its exit code", process.wait(SECONDS), 0)
        shows("".join(output), "Authenticated with")
        shows(asked(Place, ask, environment), r"rows\W+\[\[42\]\]")
        time.sleep(ACCESS_SECONDS + 1)
        shows(run("claude", "mcp", "list"), r"sequel: \S+ \(HTTP\) - . Connected")
        gone = case.person.ask("revoke", app="Claude Code", org="demo")
        same("the rows that are left", gone["left"], 0)
        shows(run("claude", "mcp", "list"), r"sequel: \S+ \(HTTP\) - . Needs authentication")
        same("how often the browser was opened", len(home.urls()), 1)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    chosen = [*NAMES, "claude-code", *profiles.EACH]
    parser.add_argument("--client", action="append", choices=chosen, help="only this client; may be repeated")
    parser.add_argument("--only", default="", help="only scenarios whose name holds this word")
    return parser.parse_args()


def main():
    chosen = arguments()
    if wanted := missing(NAMES):
        raise SystemExit("Run tests/run, which installs what is missing: " + "; ".join(wanted))
    report = Report()

    def wants(client, name):
        return (not chosen.client or client in chosen.client) and chosen.only in name

    with Server(settings=SETTINGS) as server, Person() as person:
        person.ask("set_up", url=server.set_up_url, email="ada@example.com", password="seven quiet rivers upstream", org=server.org)
        person.ask("new_org", name=OTHER_ORG)
        case = Case(server, person)
        for client in CLIENTS:
            if wants(client, name := f"{client} {whole.__doc__}"):
                report.run(name, lambda: whole(case, client), server)
                not_let_out(client)
        for client in ("ts1", "python", "rmcp"):
            for scenario in (denied, elsewhere):
                if wants(client, name := f"{client} {scenario.__doc__}"):
                    report.run(name, lambda: scenario(case, client), server)
        if wants("claude-code", claude_code.__doc__):
            report.run(claude_code.__doc__, lambda: claude_code(case), server)
            not_let_out("claude-code")
        for name, profile in profiles.EACH.items():
            if wants(name, said := f"{name} (replayed, not run) {replayed.__doc__}"):
                report.run(said, lambda: replayed(case, profile, ACCESS_SECONDS), server)
        report.run("no key and no token lies in the clear in the log or the data folder", lambda: same("files", server.places_with_secrets(), []))
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
