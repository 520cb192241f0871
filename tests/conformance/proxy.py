"""A loopback proxy that adds a bearer credential to every request.

The conformance tool cannot send one. Each request gets a connection of its own, so that nothing of HTTP but the
head has to be understood: bytes are passed on as they come, streams and hang-ups included. It changes no other
header, since several scenarios test them.
"""

import asyncio
import threading

HEAD_MAX_BYTES = 64 * 1024


class Proxy:
    """Listens on a free port of its own thread until it is closed."""

    def __init__(self):
        self.upstream = self.added = None
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        listening = asyncio.run_coroutine_threadsafe(self._listen(), self.loop)
        self.port = listening.result(10)

    def lead_to(self, host, port, credential):
        """Where requests go from here on, and with which credential."""
        self.upstream = (host, port)
        self.added = f"Authorization: Bearer {credential}\r\nConnection: close\r\n".encode()

    async def _listen(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=HEAD_MAX_BYTES)
        return self.server.sockets[0].getsockname()[1]

    async def _serve(self, reader, writer):
        upstream = None
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            line, _, fields = head.partition(b"\r\n")
            kept = [
                field + b"\r\n"
                for field in fields.removesuffix(b"\r\n\r\n").split(b"\r\n")
                if field and not field.lower().startswith((b"connection:", b"authorization:"))
            ]
            upstream_reader, upstream = await asyncio.open_connection(*self.upstream)
            upstream.write(line + b"\r\n" + self.added + b"".join(kept) + b"\r\n")
            pumps = [
                asyncio.ensure_future(_pump(reader, upstream)),
                asyncio.ensure_future(_pump(upstream_reader, writer)),
            ]
            # Whoever hangs up first ends it for both: a client that goes away is a cancel.
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass
        finally:
            for end in (writer, upstream):
                if end is not None:
                    end.close()

    def close(self):
        async def stop():
            self.server.close()
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)


async def _pump(reader, writer):
    while block := await reader.read(64 * 1024):
        writer.write(block)
        await writer.drain()
