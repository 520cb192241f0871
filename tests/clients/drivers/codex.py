"""`codex app-server` as a driver of tests/clients (lines.py): what the IDE extensions talk to, here without
an account. It connects to the servers of its configuration, which `codex mcp add` writes, tells what they
offer and calls their tools for a thread; only a model's turn would want an account.
"""

import asyncio
import itertools
import json
import os
import pathlib

from lines import drive

VARIABLE = "SEQUEL_API_KEY"
SECONDS = 60


class Connection:
    @classmethod
    async def open(cls, url, key, seen):
        self = cls()
        self.seen = seen
        self.waiting, self.numbers, self.protocol = {}, itertools.count(1), None
        self.started = asyncio.get_running_loop().create_future()
        environment = {**os.environ, **({VARIABLE: key} if key else {})}
        await cls.command(environment, "add", "sequel", "--url", url, *(["--bearer-token-env-var", VARIABLE] if key else []))
        self.process = await asyncio.create_subprocess_exec(
            "codex", "app-server", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=environment, limit=1 << 24
        )
        self.reader = asyncio.create_task(self._read())
        try:
            info = {"name": "sequel-tests", "title": "Sequel's tests", "version": "1"}
            await self.ask("initialize", clientInfo=info, capabilities={"experimentalApi": True})
            self._send({"method": "initialized"})
            thread = await self.ask("thread/start", cwd=str(pathlib.Path.home()), ephemeral=True)
            self.thread = thread["thread"]["id"]
            await asyncio.wait_for(self.started, SECONDS)
            status = await self.status()
            if status["runtimeStatus"] != "connected":
                raise RuntimeError(f"{status['runtimeStatus']}: {status.get('toolsError')}")
            return self
        except BaseException:
            await self.close()
            raise

    @staticmethod
    async def command(environment, *arguments):
        """`codex mcp`; the first `add` of a server that lets apps sign in opens the browser by itself."""
        process = await asyncio.create_subprocess_exec(
            "codex", "mcp", *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, env=environment
        )
        if await asyncio.wait_for(process.wait(), SECONDS) != 0:
            raise RuntimeError(f"`codex mcp {arguments[0]}` fails")

    async def _read(self):
        while line := await self.process.stdout.readline():
            message = json.loads(line)
            waiting = self.waiting.pop(message.get("id"), None)
            if waiting and not waiting.done():
                waiting.set_result(message)
            elif message.get("method") == "mcpServer/startupStatus/updated":
                if message["params"]["status"] != "starting" and not self.started.done():
                    self.started.set_result(message["params"])
            elif "method" in message and "id" in message:
                # It asks whether a tool may run; the tests say yes to whatever it names.
                self._send({"id": message["id"], "result": {"action": "accept", "content": {}}})
        for waiting in self.waiting.values():
            if not waiting.done():
                waiting.set_exception(RuntimeError("`codex app-server` ended"))

    def _send(self, message):
        self.process.stdin.write((json.dumps(message) + "\n").encode())

    async def ask(self, method, **params):
        number = next(self.numbers)
        self.waiting[number] = asyncio.get_running_loop().create_future()
        self._send({"id": number, "method": method, "params": params})
        answer = await asyncio.wait_for(self.waiting[number], SECONDS)
        if "error" in answer:
            raise RuntimeError(answer["error"]["message"])
        return answer["result"]

    async def status(self):
        listed = await self.ask("mcpServerStatus/list", threadId=self.thread)
        return next(server for server in listed["data"] if server["name"] == "sequel")

    async def close(self):
        self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), 10)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
        self.reader.cancel()

    async def list_tools(self):
        # It answers them by name; their order is not the server's any more.
        return [tool for _, tool in sorted((await self.status())["tools"].items())]

    async def call(self, name, arguments):
        result = await self.ask("mcpServer/tool/call", threadId=self.thread, server="sequel", tool=name, arguments=arguments)
        if challenges := result.get("_meta", {}).get("mcp/www_authenticate"):
            # It hands a 401 on as a result, for the application to offer a sign-in.
            self.seen.update(status=401, challenge=challenges[0])
            raise RuntimeError("authentication required")
        return result

    async def list_resources(self):
        return (await self.status())["resources"]

    async def list_resource_templates(self):
        return (await self.status())["resourceTemplates"]

    async def read_resource(self, uri):
        return (await self.ask("mcpServer/resource/read", threadId=self.thread, server="sequel", uri=uri))["contents"]


drive(Connection.open)
