"""A client as a process of its own that speaks JSON lines (README.md).

Knows how to start each client and how to ask it; knows no scenario.
"""

import contextlib
import json
import os
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading

from server import REPOSITORY, Failed, redacted

HERE = pathlib.Path(__file__).resolve().parent
ANSWER_SECONDS = 60
MODERN, LEGACY = "2026-07-28", "2025-11-25"


def python():
    return str(HERE / ".venv" / "bin" / "python")


def rmcp():
    default = REPOSITORY / "target" / "debug" / "examples" / "client_rmcp"
    return os.path.abspath(os.environ.get("SEQUEL_CLIENT_RMCP", default))


def node(script, *arguments):
    return ["node", str(HERE / "drivers" / script), *arguments]


# Name → the command that starts its driver, and the protocol version that it must end up with.
CLIENTS = {
    "ts1": (lambda: node("ts1.mjs"), LEGACY),
    "ts2": (lambda: node("ts2.mjs", "legacy"), LEGACY),
    "ts2-auto": (lambda: node("ts2.mjs", "auto"), MODERN),
    "python": (lambda: [python(), str(HERE / "drivers" / "python_mcp.py"), "auto"], MODERN),
    "python-legacy": (lambda: [python(), str(HERE / "drivers" / "python_mcp.py"), "legacy"], LEGACY),
    "rmcp": (lambda: [rmcp(), "legacy"], LEGACY),
    "rmcp-auto": (lambda: [rmcp(), "auto"], MODERN),
}


class Refused(Failed):
    """The client reports a failure; `status` and `challenge` are the server's, where the client shows them."""

    def __init__(self, client, error):
        super().__init__(f"{client} reports: {redacted(str(error.get('message')))} (status {error.get('status')})")
        self.status = error.get("status")
        self.challenge = error.get("challenge")


class Driver:
    """One process with one client. Use as a context manager."""

    def __init__(self, name):
        self.name = name
        self.errors = tempfile.TemporaryFile()
        self.answers = {}
        self.last = 0
        self.process = subprocess.Popen(
            CLIENTS[name][0](), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True, cwd=HERE
        )
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # End of input ends a driver; one that hangs is killed.
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _read(self):
        for line in self.process.stdout:
            answer = json.loads(line)
            self._slot(answer["id"]).put(answer)
        for slot in list(self.answers.values()):
            slot.put(None)

    def _slot(self, number):
        return self.answers.setdefault(number, queue.Queue())

    def begin(self, operation, **fields):
        """Sends a request and answers its number; the answer is fetched by `finish`."""
        self.last += 1
        self._slot(self.last)
        try:
            self.process.stdin.write(json.dumps({"id": self.last, "op": operation, **fields}) + "\n")
            self.process.stdin.flush()
        except OSError:
            raise Failed(f"the driver {self.name} is gone:\n{self.error_tail()}") from None
        return self.last

    def finish(self, number, seconds=ANSWER_SECONDS):
        try:
            answer = self._slot(number).get(timeout=seconds)
        except queue.Empty:
            raise Failed(f"{self.name} gives no answer within {seconds} s:\n{self.error_tail()}") from None
        if answer is None:
            raise Failed(f"the driver {self.name} ended without an answer:\n{self.error_tail()}")
        if not answer["ok"]:
            raise Refused(self.name, answer["error"])
        return answer

    def ask(self, operation, **fields):
        return self.finish(self.begin(operation, **fields))

    def connect(self, url, key):
        return self.ask("connect", url=url, key=key)["protocol"]

    def begin_call(self, tool, **arguments):
        return self.begin("call", name=tool, arguments=arguments)

    def call(self, tool, **arguments):
        return self.finish(self.begin_call(tool, **arguments))["result"]

    def error_tail(self, lines=15):
        self.errors.seek(0)
        text = self.errors.read().decode(errors="replace")
        return redacted("\n".join(text.splitlines()[-lines:])) or "(it wrote no error)"


def missing(names):
    """What must be installed before these clients can run, in words; empty where all is there."""
    wanted = []
    if any(name.startswith("ts") for name in names) and not (HERE / "node_modules").is_dir():
        wanted.append("npm packages (`npm ci` in tests/clients)")
    if any(name.startswith("python") for name in names) and not os.access(python(), os.X_OK):
        wanted.append("Python packages (a virtual environment in tests/clients/.venv with requirements.txt)")
    if any(name.startswith("rmcp") for name in names) and not os.access(rmcp(), os.X_OK):
        wanted.append(f"{rmcp()} (`cargo build --example client_rmcp`)")
    return wanted


if sys.platform != "linux":
    raise SystemExit("tests/clients watches the server through /proc and runs on Linux.")
