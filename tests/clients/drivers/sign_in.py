"""What an application brings for a client that signs in: a callback on loopback, and a browser, which is the program that
BROWSER names. Knows no SDK.
"""

import asyncio
import os
from urllib.parse import parse_qs, urlsplit

PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 24\r\nConnection: close\r\n\r\nYou can close this page."
MISSING = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Callback:
    """A callback on a free port; `answered` becomes the parameters of the first answer."""

    @classmethod
    async def open(cls):
        self = cls()
        self.answered = asyncio.get_running_loop().create_future()
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/callback"
        self.asked = 0
        return self

    async def _serve(self, reader, writer):
        target = urlsplit((await reader.readline()).decode().split()[1])
        while (await reader.readline()).strip():
            pass
        is_ours = target.path == "/callback"
        writer.write(PAGE if is_ours else MISSING)
        await writer.drain()
        writer.close()
        if is_ours and not self.answered.done():
            self.answered.set_result({name: values[0] for name, values in parse_qs(target.query).items()})

    async def browse(self, url):
        """Opens the browser; a second time nobody is there who could sign in again."""
        self.asked += 1
        if self.asked > 1:
            raise RuntimeError("it would have to sign in again")
        process = await asyncio.create_subprocess_exec(os.environ["BROWSER"], url)
        await process.wait()

    def close(self):
        self.server.close()
