"""Drives an MCP client by JSON lines (README.md): one request a line on stdin, one answer a line on stdout.

Knows no SDK and no scenario. The SDK's driver hands in a class whose `open(url, key, seen)` answers a
connection with `protocol`, `close()` and one coroutine for each operation; what a connection cannot do
it does not have. `seen` is a dict in which it may leave the `status` and `challenge` of a refusal.
"""

import asyncio
import json
import sys


class Driver:
    def __init__(self, connect):
        self.connect_to = connect
        self.connection = None
        self.running = {}
        self.heard = {}
        self.seen = {}

    async def connect(self, request):
        self.connection = await self.connect_to(request["url"], request["key"], self.seen)
        return {"protocol": self.connection.protocol}

    async def list_tools(self, _request):
        return {"tools": await self.connection.list_tools()}

    async def call(self, request):
        if not request.get("progress"):
            return {"result": await self.connection.call(request["name"], request["arguments"])}
        notes = self.heard[request["id"]] = []
        return {"result": await self.connection.call(request["name"], request["arguments"], notes)}

    async def notes(self, request):
        return {"notes": self.heard.get(request["target"], [])}

    async def listen(self, _request):
        return {"honored": await self.connection.listen()}

    async def change(self, _request):
        return {"change": await self.connection.change()}

    async def list_resources(self, _request):
        return {"resources": await self.connection.list_resources()}

    async def list_resource_templates(self, _request):
        return {"templates": await self.connection.list_resource_templates()}

    async def read_resource(self, request):
        return {"contents": await self.connection.read_resource(request["uri"])}

    async def list_prompts(self, _request):
        return {"prompts": await self.connection.list_prompts()}

    async def get_prompt(self, request):
        return {"messages": await self.connection.get_prompt(request["name"], request["arguments"])}

    async def complete(self, request):
        return {"values": await self.connection.complete(request["ref"], request["argument"])}

    async def cancel(self, request):
        task = self.running.get(request["target"])
        if task:
            task.cancel()
        return {}

    async def close(self, _request):
        if self.connection:
            await self.connection.close()
            self.connection = None
        return {}

    async def carry_out(self, request):
        self.seen.update(status=None, challenge=None)
        try:
            fields = await getattr(self, request["op"])(request)
            answer = {"id": request["id"], "ok": True, **fields}
        except (Exception, asyncio.CancelledError) as error:
            answer = {"id": request["id"], "ok": False, "error": {"message": innermost(error), **self.seen}}
        finally:
            self.running.pop(request["id"], None)
        print(json.dumps(answer), flush=True)


def innermost(error):
    """The message that says something: task groups wrap the one error that matters."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


def plain(models):
    """An SDK's models as what JSON knows, by the names of the protocol."""
    return [model.model_dump(mode="json", by_alias=True, exclude_none=True) for model in models]


async def remember(response, seen):
    """Keeps the refusal of a POST (an httpx response hook): the SDKs word it without its status."""
    if response.request.method == "POST" and response.status_code >= 400:
        seen.update(status=response.status_code, challenge=response.headers.get("www-authenticate"))


class Held:
    """An SDK's client that is an async context, which wants to be entered and left by the same task."""

    def __init__(self, context):
        self.ready = asyncio.get_running_loop().create_future()
        self.leave = asyncio.Event()
        self.task = asyncio.create_task(self._hold(context))

    async def _hold(self, context):
        try:
            async with context as client:
                self.ready.set_result(client)
                await self.leave.wait()
        except BaseException as error:
            if not self.ready.done():
                self.ready.set_exception(error if isinstance(error, Exception) else RuntimeError(repr(error)))
            elif not isinstance(error, Exception):
                raise

    async def close(self):
        self.leave.set()
        await self.task


def drive(connect):
    asyncio.run(_drive(connect))


async def _drive(connect):
    driver = Driver(connect)
    stdin = asyncio.StreamReader(limit=1 << 24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    while line := await stdin.readline():
        request = json.loads(line)
        driver.running[request["id"]] = asyncio.create_task(driver.carry_out(request))
    await driver.close({})
