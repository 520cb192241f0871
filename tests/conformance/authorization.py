#!/usr/bin/env python3
"""The official conformance tool's `authorization` command against the running server (README.md).

    authorization.py

A public client registers itself; the tool asks for a code, a person at a real browser lets it have one
(tests/clients/person.mjs), and the tool redeems it. (A confidential client the tool cannot be: it shows its secret only to a
server that offers no `none`. Those are among tests/clients/profiles.py.) What may be less than a success stands in
`expected/authorization.json` with its reason; what is less beyond it, and what stands there and succeeds, fails the run.
Exit code 0 only if all holds.
"""

import json
import pathlib
import queue
import socket
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "clients"))

from replay import send  # noqa: E402
from sealed import node  # noqa: E402
from server import Server  # noqa: E402
from signing_in import Person  # noqa: E402

TOOL = HERE / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
EXPECTED = HERE / "expected" / "authorization.json"
SECONDS = 120


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def registered(issuer, port):
    document = {
        "client_name": "conformance", "redirect_uris": [f"http://127.0.0.1:{port}/callback"], "token_endpoint_auth_method": "none",
    }
    metadata = send("GET", f"{issuer}/.well-known/oauth-authorization-server").json()
    answer = send("POST", metadata["registration_endpoint"], json.dumps(document), {"Content-Type": "application/json"})
    if answer.status != 201:
        raise SystemExit(f"the registration is answered {answer.status}: {answer.body[:300]!r}")
    return answer.json()["client_id"]


def checks(server, person):
    """What the tool finds: (id, status, what it says) of each check."""
    issuer, port = server.url.removesuffix("/mcp"), free_port()
    client = registered(issuer, port)
    with tempfile.TemporaryDirectory(prefix="sequel-conformance-out-") as out:
        command = [node(), TOOL, "authorization", "--url", issuer, "--client-id", client, "--port", port]
        command += ["--resource", server.url, "--output-dir", out]
        process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=out,
        )
        lines, said = queue.Queue(), []
        threading.Thread(target=read, args=(process, lines), daemon=True).start()
        try:
            while (line := lines.get(timeout=SECONDS)) is not None:
                said.append(line)
                if line.startswith(f"{issuer}/") and "code_challenge=" in line:
                    person.authorize(line.strip())
            process.wait(SECONDS)
        finally:
            process.kill()
        found = [json.loads(path.read_text()) for path in pathlib.Path(out).rglob("checks.json")]
    if len(found) < 2:
        raise SystemExit("the tool says:\n" + "".join(said))
    return [(check["id"], check["status"], check.get("errorMessage", "")) for scenario in found for check in scenario]


def read(process, lines):
    for line in process.stdout:
        lines.put(line)
    lines.put(None)


def judged(found, expected):
    """How what was found differs from what is expected: sentences."""
    less = {name: (status, why) for name, status, why in found if status not in ("SUCCESS", "INFO")}
    wrong = [f"{name} is {status}: {why}" for name, (status, why) in less.items() if name not in expected]
    return wrong + [f"{name} succeeds now; take it out of {EXPECTED.name}" for name in expected if name not in less]


def main():
    expected = json.loads(EXPECTED.read_text())
    with Server() as server, Person() as person:
        person.ask("set_up", url=server.set_up_url, email="ada@example.com", password="seven quiet rivers upstream", org=server.org)
        found = checks(server, person)
    for name, status, _ in found:
        print(f"{status} {name}")
    succeeded, wrong = sum(status == "SUCCESS" for _, status, _ in found), judged(found, expected)
    for sentence in wrong:
        print(f"failed: {sentence}")
    print(f"conformance, authorization: {succeeded} checks succeed, {len(expected)} are expected not to, {len(wrong)} failed")
    sys.exit(bool(wrong) or not succeeded)


if __name__ == "__main__":
    main()
