"""Where a client runs: a home of its own, an environment without the user's, and a proxy that lets nothing out.

Knows how to start and end processes; knows no MCP. A client that tries to reach anything but loopback is
told so by the proxy, and its attempt is remembered by the host that it asked for. (A client that asks no
proxy is not held by this; none of those here does so.)
"""

import contextlib
import os
import pathlib
import pty
import shutil
import signal
import socketserver
import subprocess
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
MODULES = HERE / "node_modules"

# What switches off updates, telemetry and sign-ins in those clients that know a switch.
QUIET = {
    "DO_NOT_TRACK": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_TELEMETRY": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "GEMINI_CLI_TRUST_WORKSPACE": "true",
    "GEMINI_TELEMETRY_ENABLED": "false",
    "CI": "true",
    "NO_COLOR": "1",
    "TERM": "dumb",
}


class Proxy:
    """An HTTP proxy on loopback that refuses everything and remembers the hosts that were asked for."""

    def __init__(self):
        self.wanted = []
        wanted = self.wanted

        class Refusal(socketserver.StreamRequestHandler):
            timeout = 10

            def handle(self):
                with contextlib.suppress(OSError):
                    words = self.rfile.readline(4096).decode(errors="replace").split()
                    wanted.append(words[1] if len(words) > 1 else "(no HTTP)")
                    self.wfile.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Refusal)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def taken(self):
        """The hosts asked for since the last time, each once."""
        hosts = sorted(set(self.wanted))
        self.wanted.clear()
        return hosts


PROXY = Proxy()


def node():
    """Node.js of the version that package.json pins: an npm package like the clients themselves."""
    return str(MODULES / ".bin" / "node")


class Home:
    """A home folder for one client, removed at the end with every process that still runs in it."""

    def __init__(self, client):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix=f"sequel-{client}-"))
        # What a client calls to open a browser, under the two names by which clients know it.
        self.opened = self.path / "opened"
        (self.path / "bin").mkdir()
        for name in ("browser", "xdg-open"):
            program = self.path / "bin" / name
            program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$1" >> "{self.opened}"\n')
            program.chmod(0o755)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def urls(self):
        """What was to be opened in a browser so far."""
        return self.opened.read_text().splitlines() if self.opened.exists() else []

    def environment(self, **more):
        keys = ["http_proxy", "https_proxy", "all_proxy"]
        proxies = {name: PROXY.url for key in keys for name in (key, key.upper())}
        direct = {name: "127.0.0.1,localhost,[::1]" for name in ("no_proxy", "NO_PROXY")}
        # Claude Code's own command is put in its place by an install script, and none was run.
        native = map(str, MODULES.glob("@anthropic-ai/claude-code-linux-*"))
        path = os.pathsep.join([str(self.path / "bin"), *native, str(MODULES / ".bin"), "/usr/local/bin", "/usr/bin", "/bin"])
        home = {"HOME": str(self.path), "USER": "tester", "PATH": path, "LANG": "C.UTF-8", "TMPDIR": str(self.path)}
        return {**home, **proxies, **direct, **QUIET, "BROWSER": str(self.path / "bin" / "browser"), **more}

    def run(self, command, seconds, **more):
        """Runs a command to its end in this home; its output with both streams, and its exit code. A command
        that takes too long is ended with all that it started and raises `subprocess.TimeoutExpired`."""
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", cwd=self.path, env=self.environment(**more), start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=seconds)
            return output, process.returncode
        finally:
            end_group(process)

    @contextlib.contextmanager
    def terminal(self, command):
        """A command at a terminal of its own: the process, and a list that its output grows in."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=self.path,
            env=self.environment(TERM="xterm"), start_new_session=True,
        )
        os.close(theirs)
        output = []

        def read():
            # A terminal whose other end is closed is an error to read from.
            with contextlib.suppress(OSError):
                while part := os.read(ours, 4096):
                    output.append(part.decode(errors="replace"))

        threading.Thread(target=read, daemon=True).start()
        try:
            yield process, output
        finally:
            end_group(process)
            os.close(ours)

    def processes(self):
        """The ids of the processes whose home is this folder, wherever they went."""
        found, needle = [], f"HOME={self.path}".encode()
        for entry in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and needle in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
        return found

    def end(self):
        for process in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        # Whoever was just ended may still be writing here.
        shutil.rmtree(self.path, ignore_errors=True)


def end_group(process):
    """Ends a process that leads a group of its own, with all of that group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
