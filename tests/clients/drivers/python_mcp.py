"""The Python SDK (`mcp` 2.x) as a driver of tests/clients: JSON lines in, JSON lines out (README.md).

Its argument is the SDK's own mode: `auto` (the default: discover first) or `legacy`. Knows no
scenario and judges nothing.
"""

import asyncio
import json
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


class Connection:
    """One connected client. The SDK wants its context entered and left by the same task."""

    def __init__(self, url, key, mode):
        self.seen = {"status": None, "challenge": None}
        self.client = None
        self.ready = asyncio.get_running_loop().create_future()
        self.leave = asyncio.Event()
        self.task = asyncio.create_task(self._hold(url, key, mode))

    async def _remember(self, response):
        # The SDK words a refusal without its status.
        if response.request.method == "POST" and response.status_code >= 400:
            self.seen = {"status": response.status_code, "challenge": response.headers.get("www-authenticate")}

    async def _hold(self, url, key, mode):
        try:
            http = httpx2.AsyncClient(
                headers={"Authorization": f"Bearer {key}"}, event_hooks={"response": [self._remember]}, timeout=60
            )
            async with http, Client(streamable_http_client(url, http_client=http), mode=mode) as client:
                self.client = client
                self.ready.set_result(client.protocol_version)
                await self.leave.wait()
        except BaseException as error:
            if not self.ready.done():
                self.ready.set_exception(error if isinstance(error, Exception) else RuntimeError(repr(error)))
            elif not isinstance(error, Exception):
                raise

    async def close(self):
        self.leave.set()
        await self.task


class Driver:
    def __init__(self, mode):
        self.mode = mode
        self.connection = None
        self.running = {}

    async def connect(self, request):
        connection = Connection(request["url"], request["key"], self.mode)
        # Kept before it is ready, so that a failure can tell what it saw.
        self.connection = connection
        return {"protocol": await connection.ready}

    async def list_tools(self, _request):
        listed = await self.connection.client.list_tools()
        return {"tools": [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in listed.tools]}

    async def call(self, request):
        result = await self.connection.client.call_tool(request["name"], request["arguments"])
        return {"result": result.model_dump(mode="json", by_alias=True, exclude_none=True)}

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
        if self.connection:
            self.connection.seen = {"status": None, "challenge": None}
        try:
            fields = await getattr(self, request["op"])(request)
            answer = {"id": request["id"], "ok": True, **fields}
        except (Exception, asyncio.CancelledError) as error:
            seen = self.connection.seen if self.connection else {}
            answer = {"id": request["id"], "ok": False, "error": {"message": innermost(error), **seen}}
        finally:
            self.running.pop(request["id"], None)
        print(json.dumps(answer), flush=True)


def innermost(error):
    """The message that says something: task groups wrap the one error that matters."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


async def main():
    driver = Driver(sys.argv[1] if len(sys.argv) > 1 else "auto")
    stdin = asyncio.StreamReader(limit=1 << 24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    while line := await stdin.readline():
        request = json.loads(line)
        driver.running[request["id"]] = asyncio.create_task(driver.carry_out(request))
    await driver.close({})


asyncio.run(main())
