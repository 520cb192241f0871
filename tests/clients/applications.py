"""The applications themselves, set up with the very lines that `sequel demo` prints for them: Claude Code, Gemini
CLI and Codex list the server as connected, a model behind them gets rows, and a deleted key ends it.

Knows each application's command line; what the lines are only Sequel knows.
"""

import json
import re
import tomllib

from model import Model
from sealed import Home
from server import Failed, Server, redacted

SECONDS = 120
QUESTION = "What is six times seven?"
WISH = {"sql": "SELECT 6 * 7 AS answer"}


def same(what, seen, expected):
    if seen != expected:
        raise Failed(f"{what}: expected {expected!r}, saw {seen!r}")


def shows(output, pattern):
    if not re.search(pattern, output):
        raise Failed(f"there is no {pattern!r} in:\n{redacted(output)}")


class Place:
    """One application in a home of its own, and a server that has just printed its lines."""

    def __init__(self, client):
        self.client = client

    def __enter__(self):
        self.server = Server(prints=True)
        try:
            self.server.start()
            self.home = Home(self.client.lower().replace(" ", "-"))
        except BaseException:
            self.server.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.home.end()
        self.server.__exit__()

    def lines(self):
        """(place, text) of each block that is printed for this application."""
        head = re.compile(rf"^{re.escape(self.client)}, in (?:a )?(.+):$", re.M)
        found = []
        for match in head.finditer(self.server.printed):
            text = self.server.printed[match.end() :].lstrip("\n")
            found.append((match.group(1), text.split("\n\n", 1)[0]))
        if not found:
            raise Failed(f"nothing is printed for {self.client}")
        return found

    def follow(self):
        """Does what the lines say."""
        for place, text in self.lines():
            if place == "terminal":
                output, code = self.run(["sh", "-c", text])
                same(f"the exit code of the printed line, which says {redacted(output)}", code, 0)
            else:
                file = self.home.path / place.removeprefix("~/")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text + "\n")

    def run(self, command, **more):
        return self.home.run(command, SECONDS, **more)

    def delete_key(self):
        keys = self.server.command("key", "list", "--org", self.server.org, "--json")["keys"]
        for key in keys:
            self.server.delete_key(key["name"])


def asked(place, command, environment):
    """What the model behind the application is told when it calls the tool."""
    with Model("run_query", WISH) as model:
        output, code = place.run(command, **environment(model.url))
        if not model.answers:
            raise Failed(f"no call came back (exit {code}); offered were {model.offered}; it says:\n{redacted(output[-2000:])}")
        return model.answers[-1]


def claude_code():
    """Claude Code is connected by the printed line, its model gets the rows, and a deleted key ends it"""
    ask = ["claude", "-p", QUESTION, "--allowedTools", "mcp__sequel__run_query"]

    def environment(url):
        # Without it the model would first have to search for the tool.
        return {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "sk-none", "ENABLE_TOOL_SEARCH": "false"}

    with Place("Claude Code") as place:
        place.follow()
        # Also in another folder than the one where the line was pasted.
        shows(place.run(["sh", "-c", "mkdir elsewhere && cd elsewhere && exec claude mcp list"])[0], r"sequel: \S+ \(HTTP\) - . Connected")
        shows(asked(place, ask, environment), r"rows\W+\[\[42\]\]")
        place.delete_key()
        failed = place.run(["claude", "mcp", "list"])[0]
        shows(failed, r"Failed to connect")
        shows(failed, r"The API key or access token is not valid")
        with Model("run_query", WISH) as model:
            place.run(ask, **environment(model.url))
            same("the answers to a model after the deletion", model.answers, [])
            same("our tools after the deletion", [name for name in model.offered if "sequel" in name], [])


def gemini_cli():
    """Gemini CLI is connected by the printed line, its model gets the rows, and a deleted key ends it"""
    ask = ["gemini", "-p", QUESTION, "--approval-mode", "yolo"]

    def environment(url):
        return {"GOOGLE_GEMINI_BASE_URL": url, "GEMINI_API_KEY": "none"}

    with Place("Gemini CLI") as place:
        place.follow()
        shows(place.run(["sh", "-c", "mkdir elsewhere && cd elsewhere && exec gemini mcp list"])[0], r"sequel: \S+ \(http\) - Connected")
        settings = place.home.path / ".gemini" / "settings.json"
        # It asks a person for these two at its first start.
        chosen = {"security": {"auth": {"selectedType": "gemini-api-key"}}, "privacy": {"usageStatisticsEnabled": False}}
        settings.write_text(json.dumps({**json.loads(settings.read_text()), **chosen}))
        shows(asked(place, ask, environment), r"rows\W+\[\[42\]\]")
        place.delete_key()
        shows(place.run(["gemini", "mcp", "list"])[0], r"sequel: \S+ \(http\) - Disconnected")
        with Model("run_query", WISH) as model:
            place.run(ask, **environment(model.url))
            same("the answers to a model after the deletion", model.answers, [])


def codex_cli():
    """Codex takes the printed file for what its own command would have written"""
    with Place("Codex") as place:
        (terminal, export), (_, printed) = place.lines()
        same("where the key goes", terminal, "terminal")
        place.follow()
        listed, _ = place.run(["sh", "-c", f"{export}\nexec codex mcp list"])
        shows(listed, r"sequel\s+\S+/mcp\s+SEQUEL_API_KEY\s+enabled\s+Bearer token")
        with Home("codex") as other:
            variable = export.removeprefix("export ").partition("=")[0]
            add = ["codex", "mcp", "add", "sequel", "--url", place.server.url, "--bearer-token-env-var", variable]
            same("the exit code of `codex mcp add`", other.run(add, SECONDS)[1], 0)
            written = tomllib.loads((other.path / ".codex" / "config.toml").read_text())
        same("the printed file", tomllib.loads(printed), written)


EACH = {"claude-code": claude_code, "gemini-cli": gemini_cli, "codex-cli": codex_cli}
