"""`@modelcontextprotocol/inspector --cli` as a driver of tests/clients (lines.py): one run for each operation.

Its argument is the Inspector's own `--protocol-era`: `legacy` (its default) or `modern`.
"""

import asyncio
import json
import os
import pathlib
import signal
import sys

from lines import drive

ERA = sys.argv[1] if len(sys.argv) > 1 else "legacy"
PACKAGE = pathlib.Path(__file__).resolve().parents[1] / "node_modules" / "@modelcontextprotocol" / "inspector"
LAUNCHER = PACKAGE / "clients" / "launcher" / "build" / "index.js"
SECONDS = 60


class Connection:
    @classmethod
    async def open(cls, url, key, seen):
        self = cls()
        header = ["--header", f"Authorization: Bearer {key}"] if key else []
        self.target = [url, "--transport", "http", *header, "--protocol-era", ERA]
        self.seen = seen
        # Only this once may it open a browser; what it keeps in its home has to do from then on.
        first = [] if key is None else ["--stored-auth-only"]
        self.protocol = (await self._run("initialize", auth=first))["protocolVersion"]
        return self

    async def _run(self, method, *arguments, auth=("--stored-auth-only",)):
        options = ["--format", "json", "--quiet", *auth, "--method", method, *arguments]
        process = await asyncio.create_subprocess_exec(
            "node", str(LAUNCHER), "--cli", *self.target, *options, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, start_new_session=True,
            # Without a terminal it opens a browser only where it is told to, and without a keyring it keeps nothing.
            env={**os.environ, "MCP_AUTO_OPEN_ENABLED": "true", "MCP_INSPECTOR_SECRET_STORE": "file"},
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), SECONDS)
        finally:
            # Whoever gives up on it ends it, as Ctrl-C in a terminal does.
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        out, err = out.decode(errors="replace"), err.decode(errors="replace")
        if out.strip():
            # A tool's own failure is printed as its result, and its exit code tells the same.
            return json.loads(out)["result"]
        error = json.loads(err.strip().splitlines()[-1])["error"] if '{"error"' in err else {"message": err}
        if error.get("code") == "auth_required":
            # It shows a 401 as this code alone.
            self.seen.update(status=401)
        raise RuntimeError(f"exit {process.returncode}: {error.get('message')}")

    async def close(self):
        pass

    async def list_tools(self):
        return (await self._run("tools/list"))["tools"]

    async def call(self, name, arguments):
        return await self._run("tools/call", "--tool-name", name, "--tool-args-json", json.dumps(arguments))

    async def list_resources(self):
        return (await self._run("resources/list"))["resources"]

    async def list_resource_templates(self):
        return (await self._run("resources/templates/list"))["resourceTemplates"]

    async def read_resource(self, uri):
        return (await self._run("resources/read", "--uri", uri))["contents"]

    async def list_prompts(self):
        return (await self._run("prompts/list"))["prompts"]

    async def get_prompt(self, name, arguments):
        pairs = [f"{key}={value}" for key, value in arguments.items()]
        return (await self._run("prompts/get", "--prompt-name", name, *(["--prompt-args", *pairs] if pairs else [])))["messages"]


drive(Connection.open)
