"""A client as a process of its own that speaks JSON lines (README.md).

Knows how to start each client and how to ask it; knows no scenario.
"""

import contextlib
import dataclasses
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable

from sealed import HERE, Home, end_group, node
from server import REPOSITORY, Failed, redacted

ANSWER_SECONDS = 60
MODERN, LEGACY = "2026-07-28", "2025-11-25"


def python():
    return str(HERE / ".venv" / "bin" / "python")


def rmcp():
    default = REPOSITORY / "target" / "debug" / "examples" / "client_rmcp"
    return os.path.abspath(os.environ.get("SEQUEL_CLIENT_RMCP", default))


def by_node(script, *arguments):
    return lambda: [node(), str(HERE / "drivers" / script), *arguments]


def by_python(script, *arguments):
    return lambda: [python(), str(HERE / "drivers" / script), *arguments]


@dataclasses.dataclass
class Client:
    """How to start a client's driver, and how far that client goes."""

    command: Callable
    # The version that it must end up with; None where it does not say.
    protocol: str | None
    # Whether a refusal shows the server's status, and its challenge.
    shows_status: bool = True
    shows_challenge: bool = True
    # Operation → why this client has none.
    cannot: dict = dataclasses.field(default_factory=dict)


NOT_DRIVEN = "its driver does not ask for it"
NO_STREAMS = "its protocol version has no streams of changes"
NEITHER = {"notes": NOT_DRIVEN, "listen": NOT_DRIVEN}
LEGACY_ONLY = {"listen": NO_STREAMS}
NO_COMPLETION = "it has no completion"
CODEX = {
    **NEITHER,
    "cancel": "only a model's turn can be interrupted, and that wants an account",
    "complete": NO_COMPLETION,
    "list_prompts": "it knows no prompts of servers",
    "get_prompt": "it knows no prompts of servers",
}

CLIENTS = {
    "ts1": Client(by_node("ts1.mjs"), LEGACY, cannot=LEGACY_ONLY),
    "ts2": Client(by_node("ts2.mjs", "legacy"), LEGACY, cannot=LEGACY_ONLY),
    "ts2-auto": Client(by_node("ts2.mjs", "auto"), MODERN),
    "python": Client(by_python("python_mcp.py", "auto"), MODERN),
    "python-legacy": Client(by_python("python_mcp.py", "legacy"), LEGACY, cannot=LEGACY_ONLY),
    "fastmcp": Client(by_python("python_fastmcp.py"), MODERN, cannot=NEITHER),
    "rmcp": Client(lambda: [rmcp(), "legacy"], LEGACY, cannot=NEITHER),
    "rmcp-auto": Client(lambda: [rmcp(), "auto"], MODERN, cannot=NEITHER),
    "mcp-remote": Client(by_node("bridge.mjs", "legacy"), None, shows_status=False, cannot=LEGACY_ONLY),
    "mcp-remote-auto": Client(by_node("bridge.mjs", "auto"), None, shows_status=False, cannot={"listen": NOT_DRIVEN}),
    "inspector": Client(by_python("inspector.py", "legacy"), LEGACY, shows_challenge=False, cannot={"complete": NO_COMPLETION, **NEITHER}),
    "inspector-modern": Client(by_python("inspector.py", "modern"), MODERN, shows_challenge=False, cannot={"complete": NO_COMPLETION, **NEITHER}),
    "codex": Client(by_python("codex.py"), None, shows_status=False, cannot=CODEX),
}


class Refused(Failed):
    """The client reports a failure; `status` and `challenge` are the server's, where the client shows them."""

    def __init__(self, client, error):
        super().__init__(f"{client} reports: {redacted(str(error.get('message')))} (status {error.get('status')})")
        self.status = error.get("status")
        self.challenge = error.get("challenge")


class Driver:
    """One process with one client. Use as a context manager."""

    def __init__(self, name, command=None):
        self.name = name
        self.errors = tempfile.TemporaryFile()
        self.answers = {}
        self.last = 0
        self.home = Home(name)
        self.process = subprocess.Popen(
            command or CLIENTS[name].command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True,
            cwd=self.home.path, env=self.home.environment(), start_new_session=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # End of input ends a driver; one that hangs is killed, and so is whatever it leaves behind.
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        end_group(self.process)
        self.home.end()

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

    def has_answered(self, number):
        return not self._slot(number).empty()

    def ask(self, operation, **fields):
        return self.finish(self.begin(operation, **fields))

    def url_to_open(self, number, seconds=ANSWER_SECONDS):
        """What it opens in a browser as its n-th, counted from 0; None where it opens nothing within that time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if len(urls := self.home.urls()) > number:
                return urls[number]
            time.sleep(0.05)
        return None

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
    if not os.access(node(), os.X_OK):
        wanted.append("npm packages (`npm ci --ignore-scripts` in tests/clients)")
    if not os.access(python(), os.X_OK):
        wanted.append("Python packages (a virtual environment in tests/clients/.venv with requirements.txt)")
    if any(name.startswith("rmcp") for name in names) and not os.access(rmcp(), os.X_OK):
        wanted.append(f"{rmcp()} (`cargo build --example client_rmcp`)")
    return wanted


if sys.platform != "linux":
    raise SystemExit("tests/clients watches the server through /proc and runs on Linux.")
