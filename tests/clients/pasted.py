"""Pastes into a real application what a page of the dashboard shows for it, and asks the application whether it got there.

    python3 tests/clients/pasted.py < '{"client": "Claude Code", "snippets": [{"place": "Terminal", "text": "…"}]}'

For tests/browser, which has the page; the application runs in a home of its own that lets nothing out (`sealed`).
"""

import json
import pathlib
import sys

from applications import SECONDS, same, shows
from sealed import Home
from server import redacted

CONNECTED = {
    "Claude Code": (["claude", "mcp", "list"], r"sequel: \S+ \(HTTP\) - . Connected"),
    "Gemini CLI": (["gemini", "mcp", "list"], r"sequel: \S+ \(http\) - Connected"),
    "Codex": (["codex", "mcp", "list"], r"sequel\s+\S+/mcp\s+SEQUEL_API_KEY\s+enabled\s+Bearer token"),
}


def main():
    asked = json.load(sys.stdin)
    command, pattern = CONNECTED[asked["client"]]
    with Home("pasted") as home:
        for snippet in asked["snippets"]:
            place, text = snippet["place"], snippet["text"]
            if place == "Terminal":
                output, code = home.run(["sh", "-c", text], SECONDS)
                same(f"the exit code of the pasted line, which says {redacted(output)}", code, 0)
            else:
                file = home.path / place.removeprefix("~/")
                pathlib.Path(file).parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text + "\n")
        shows(home.run(command, SECONDS)[0], pattern)


main()
