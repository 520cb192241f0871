"""The real server as a process of its own: started on a fresh data folder, asked through its command
line, watched from outside, stopped by SIGTERM.

Knows the contract of `sequel demo`, `sequel key` and `sequel org`; knows nothing of MCP.
"""

import itertools
import json
import os
import pathlib
import re
import selectors
import signal
import socket
import subprocess
import tempfile
import threading
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
START_SECONDS = 60
COMMAND_SECONDS = 60
# THREATS: in-flight work ends within 30 s of SIGTERM; the rest is for a slow machine.
STOP_SECONDS = 45
DATABASES = itertools.count()
SECRET = re.compile(r"sq[a-z]_[0-9A-Za-z]{71}")
# What is issued to clients that sign in, whoever holds it.
TOKEN = re.compile(rb"sq[arc]_[0-9A-Za-z]{71}")


class Failed(Exception):
    """What users rely on does not hold; the message says what was seen instead."""


def redacted(text):
    return SECRET.sub(lambda found: found.group()[:14] + "…", text)


def storage_url():
    """`storage.url` of a fresh server; None for SQLite. The suite runs on each backend of the server's records."""
    backend = os.environ.get("SEQUEL_TEST_BACKEND") or "sqlite"
    if backend == "sqlite":
        return None
    if backend == "sled":
        return "sled:sequel.sled"
    if backend != "postgres":
        raise SystemExit(f"SEQUEL_TEST_BACKEND is {backend!r}; it may be sqlite, sled or postgres.")
    cluster = os.environ.get("SEQUEL_TEST_POSTGRES")
    if not cluster:
        raise SystemExit("There is no PostgreSQL for these tests: run them with tests/postgres/run, which starts one.")
    name = f"clients_{os.getpid()}_{next(DATABASES)}"
    psql = os.path.join(os.environ.get("SEQUEL_TEST_POSTGRES_BIN", ""), "psql")
    subprocess.run([psql, "-X", "-q", "-d", cluster, "-c", f"CREATE DATABASE {name}"], check=True)
    return f"{cluster.rsplit('/', 1)[0]}/{name}"


class Server:
    """`sequel demo` on a temporary data folder. Use as a context manager. With `prints` it speaks to people:
    what it says is kept in `printed`. `settings` are pairs of a setting's variable and its value."""

    def __init__(self, prints=False, settings=()):
        self.prints = prints
        self.printed = ""
        default = REPOSITORY / "target" / "release" / "sequel"
        self.binary = os.path.abspath(os.environ.get("SEQUEL_BIN", default))
        if not os.access(self.binary, os.X_OK):
            raise SystemExit(f"{self.binary} is not there: run `cargo build --release`, or set SEQUEL_BIN.")
        self.folder = tempfile.TemporaryDirectory(prefix="sequel-clients-")
        self.data = pathlib.Path(self.folder.name) / "data"
        self.log_path = pathlib.Path(self.folder.name) / "server.log"
        # The operator's own settings must not reach the tests.
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("SEQUEL_")}
        if storage := storage_url():
            self.environment["SEQUEL__STORAGE__URL"] = storage
        # A port that was free a moment ago: the demo does not print where it serves its metrics.
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.environment["SEQUEL__METRICS__LISTEN"] = address
        # All clients ask from one address, and with --long they present hundreds of deleted keys; how many of those an
        # address may is tested elsewhere (tests/it).
        self.environment["SEQUEL__AUTH__FAILURES_PER_MINUTE"] = "100000"
        self.environment.update(settings)
        self.metrics_url = f"http://{address}/metrics"
        self.process = None
        self.secrets = []
        # Where queries are carried out, if that is not this process.
        self.database = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()
        self.folder.cleanup()

    def start(self):
        """Starts it and answers its announcement, once it says that it answers requests."""
        command = [self.binary, "demo", "--port", "0", "--data-dir", str(self.data)]
        command += [] if self.prints else ["--json"]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=self.environment
            )
        line = self._first_line()
        try:
            announced = self._printed(line) if self.prints else json.loads(line)
            self.url, self.org = announced["mcp_url"], announced["org"]
            self.set_up_url = announced.get("set_up_url")
        except (ValueError, KeyError, TypeError):
            self.kill()
            raise Failed(f"the first line of `sequel demo --json` is {redacted(line)!r}; its log ends:\n{self.log_tail()}")
        if announced.get("api_key"):
            self.secrets.append(announced["api_key"])
        # Whatever it prints later must not fill the pipe and stop it.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        return announced

    def _printed(self, line):
        """What it says to people, as far as it concerns programs. All of it is written at once."""
        while line and not line.startswith("Then ask"):
            self.printed += line
            line = self.process.stdout.readline().decode()
        said = dict(re.findall(r"^  (MCP URL|API key)  (\S+)$", self.printed, re.M))
        return {"mcp_url": said["MCP URL"], "api_key": said["API key"], "org": "demo"}

    def _first_line(self):
        selector = selectors.DefaultSelector()
        selector.register(self.process.stdout, selectors.EVENT_READ)
        if not selector.select(START_SECONDS):
            self.kill()
            raise Failed(f"the server said nothing within {START_SECONDS} s; its log ends:\n{self.log_tail()}")
        return self.process.stdout.readline().decode()

    def stop(self):
        """Ends it the way a service manager does and answers its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise Failed(f"the server still runs {STOP_SECONDS} s after SIGTERM") from None

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def command(self, *arguments):
        """One command line against the running server; answers its JSON, or None where it prints none."""
        command = [self.binary, *arguments, "--data-dir", str(self.data)]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMMAND_SECONDS, env=self.environment
        )
        if done.returncode != 0:
            raise Failed(f"`sequel {' '.join(arguments)}` exits with {done.returncode}: {redacted(done.stderr.strip())}")
        return json.loads(done.stdout) if "--json" in arguments else None

    def create_key(self, name, org=None):
        made = self.command("key", "create", name, "--org", org or self.org, "--json")
        self.secrets.append(made["key"])
        return made["key"]

    def delete_key(self, name, org=None):
        self.command("key", "delete", name, "--org", org or self.org, "--yes")

    def create_org(self, name):
        """Answers the word by which later commands name it."""
        made = self.command("org", "create", name, "--json")
        return made.get("name", name)

    def cpu_seconds(self):
        """Processor time that the server has used since it started."""
        stat = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text()
        # The name in parentheses may hold spaces; times are fields 14 and 15.
        fields = stat.rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def until_busy(self, seconds=20):
        """Waits until a query visibly computes."""
        start, deadline = self.cpu_seconds(), time.monotonic() + seconds
        while not (self.database.is_busy() if self.database else self.cpu_seconds() - start >= 0.3):
            if time.monotonic() > deadline:
                raise Failed("an endless query does not keep the server busy: did it run at all?")
            time.sleep(0.02)

    def until_idle(self, seconds):
        """Waits until nothing computes any more."""
        deadline = time.monotonic() + seconds
        while True:
            before = self.cpu_seconds()
            time.sleep(0.3)
            if self.cpu_seconds() - before < 0.1 and not (self.database and self.database.is_busy()):
                return
            if time.monotonic() > deadline:
                raise Failed(f"the query still computes {seconds} s after it should have stopped")

    def log_tail(self, lines=40):
        text = self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
        return redacted("\n".join(text.splitlines()[-lines:])) or "(empty)"

    def places_with_secrets(self):
        """Files below the data folder, and the log, that hold a key in the clear."""
        files = [self.log_path, *(path for path in self.data.rglob("*") if path.is_file())]
        secrets = [secret.encode() for secret in self.secrets]
        return [
            path.name for path in files
            if any(secret in path.read_bytes() for secret in secrets) or TOKEN.search(path.read_bytes())
        ]
