#!/usr/bin/env python3
"""Drives the real server over loopback with real MCP clients (README.md).

    run.py [--client NAME]… [--only WORD] [--source postgres] [--long]

`--client` and `--only` (part of a scenario's name) choose; `--source postgres` connects a PostgreSQL database with the demo's
data in the place of the demo's file (`tests/postgres/run` starts a server); `--long` deletes twenty keys for each client
under a running client each time. Needs what `tests/run` installs. Exit code 0 only if all holds.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

import applications
import exploring
import scenarios
from driver import CLIENTS, missing
from postgres import Postgres
from sealed import PROXY
from server import Failed, Server
from truth import Truth

LONG_ROUNDS = 20
# Where apps may be authorized, a client that can sign in does so once its key is refused: mcp-remote opens a browser and
# waits for a person. What is asked here is what a client does that has nothing but its key; signing_in.py has the rest.
KEYS_ALONE = {"SEQUEL__OAUTH__APPS": "never"}


class Report:
    def __init__(self):
        self.passed, self.failed = 0, []

    def run(self, name, check, server=None):
        started = time.monotonic()
        try:
            check()
        except (Failed, subprocess.TimeoutExpired, KeyError, IndexError, TypeError, ValueError, OSError) as error:
            self.failed.append(name)
            print(f"FAIL {name}\n     {type(error).__name__}: {error}", flush=True)
            if server:
                print("     the server's log ends:\n" + "\n".join(f"     | {line}" for line in server.log_tail().splitlines()), flush=True)
        else:
            self.passed += 1
            print(f"ok   {name} ({time.monotonic() - started:.1f} s)", flush=True)

    def end(self):
        """What the program ends with; nothing that was tried is a failure too."""
        for name in self.failed:
            print(f"failed: {name}")
        print(f"{self.passed} passed, {len(self.failed)} failed")
        return 1 if self.failed or not self.passed else 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--client", action="append", choices=[*CLIENTS, *applications.EACH], help="only this client; may be repeated")
    parser.add_argument("--only", default="", help="only scenarios whose name holds this word")
    parser.add_argument("--source", choices=["sqlite", "postgres"], default="sqlite", help="what kind of database is asked")
    parser.add_argument("--long", action="store_true", help=f"{LONG_ROUNDS} rounds of deleting a key under a client")
    return parser.parse_args()


def each_client(report, server, chosen, truth):
    for client in CLIENTS if not chosen.client else filter(CLIENTS.get, chosen.client):
        case = scenarios.Case(client, server, truth)
        for scenario in [*scenarios.EACH, *exploring.EACH]:
            name = f"{client} {scenario.__doc__}"
            needs = {**scenarios.NEEDS, **exploring.NEEDS}.get(scenario)
            reason = CLIENTS[client].cannot.get(needs)
            if chosen.only in name and reason:
                print(f"n/a  {name}: {reason}", flush=True)
            elif chosen.only in name:
                report.run(name, lambda: scenario(case), server)
        for number in range(LONG_ROUNDS if chosen.long else 0):
            report.run(f"{client} is refused at once, round {number + 1}", lambda: scenarios.deleted_key(case), server)
        not_let_out(client)


def each_application(report, chosen):
    for name, scenario in applications.EACH.items():
        if (not chosen.client or name in chosen.client) and chosen.only in scenario.__doc__:
            report.run(scenario.__doc__, scenario)
            not_let_out(name)


def not_let_out(name):
    if hosts := PROXY.taken():
        print(f"     {name} asked for, and was not let out to: {', '.join(hosts)}", flush=True)


def restart(server):
    """The same folder again: the same organization, the old keys, and no key that can be shown."""
    key = server.create_key("kept over a restart")
    org = server.org
    scenarios.same("the exit code after SIGTERM", server.stop(), 0)
    announced = server.start()
    scenarios.same("the organization", announced["org"], org)
    scenarios.same("the key that it shows", announced["api_key"], None)
    with scenarios.Driver(next(iter(CLIENTS))) as driver:
        driver.connect(server.url, key)
        scenarios.same("the rows", scenarios.rows_of(driver, "SELECT 1 AS one")["rows"], [[1]])
    server.delete_key("kept over a restart")


def metrics(server):
    """Prometheus' own parser reads the metrics; the clients before it are in them."""
    python = pathlib.Path(__file__).parent / ".venv" / "bin" / "python"
    driver = pathlib.Path(__file__).parent / "drivers" / "metrics.py"
    read = subprocess.run([python, driver, server.metrics_url], capture_output=True, text=True, timeout=60)
    if read.returncode:
        raise Failed(f"the metrics cannot be read: {read.stderr[-500:]}")
    samples = json.loads(read.stdout)
    scenarios.same("readiness", samples["sequel_ready{}"], 1)
    if not samples["process_resident_memory_bytes{}"] or len(samples) < 100:
        raise Failed(f"too little is told: {sorted(samples)}")


def no_secret(server):
    scenarios.same("files that hold a key in the clear", server.places_with_secrets(), [])


def main():
    chosen = arguments()
    names = chosen.client or list(CLIENTS)
    if wanted := missing(names):
        raise SystemExit("Run tests/run, which installs what is missing: " + "; ".join(wanted))
    report = Report()
    try:
        with Server(settings=KEYS_ALONE) as server:
            truth = Truth(server.data)
            if chosen.source == "postgres":
                with Postgres(truth.path) as postgres:
                    postgres.connect(server)
                    each_client(report, server, chosen, postgres)
            else:
                each_client(report, server, chosen, truth)
                each_application(report, chosen)
            if not chosen.client and not chosen.only and chosen.source == "sqlite":
                report.run("the demo goes on where it was when it starts again", lambda: restart(server), server)
            report.run("Prometheus' own parser reads the metrics", lambda: metrics(server), server)
            report.run("no key lies in the clear in the log or the data folder", lambda: no_secret(server), server)
            report.run("the server ends with 0 on SIGTERM", lambda: scenarios.same("the exit code", server.stop(), 0), server)
    except Failed as error:
        report.failed.append("the server starts")
        print(f"FAIL the server starts\n     {error}")
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
