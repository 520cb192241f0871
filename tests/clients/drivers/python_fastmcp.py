"""The framework `fastmcp` (4.x) as a driver of tests/clients (lines.py): its own client, as its users write it."""

import httpx2
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from mcp_types import PromptReference, ResourceTemplateReference

from lines import Held, drive, plain, remember


class Connection:
    @classmethod
    async def open(cls, url, key, seen):
        self = cls()

        def http(headers=None, timeout=None, auth=None, **more):
            hooks = {"response": [lambda response: remember(response, seen)]}
            return httpx2.AsyncClient(headers=headers, timeout=timeout or 60, auth=auth, event_hooks=hooks, **more)

        # `auth` with a text is a bearer key, but for one word.
        self.held = Held(Client(StreamableHttpTransport(url, auth=key or "oauth", httpx_client_factory=http)))
        self.client = await self.held.ready
        self.protocol = self.client.protocol_version
        return self

    async def close(self):
        await self.held.close()

    async def list_tools(self):
        return plain(await self.client.list_tools())

    async def call(self, name, arguments):
        return plain([await self.client.call_tool_mcp(name, arguments)])[0]

    async def list_resources(self):
        return plain(await self.client.list_resources())

    async def list_resource_templates(self):
        return plain(await self.client.list_resource_templates())

    async def read_resource(self, uri):
        return plain(await self.client.read_resource(uri))

    async def list_prompts(self):
        return plain(await self.client.list_prompts())

    async def get_prompt(self, name, arguments):
        return plain((await self.client.get_prompt(name, arguments)).messages)

    async def complete(self, ref, argument):
        kind = PromptReference if ref["type"] == "ref/prompt" else ResourceTemplateReference
        return (await self.client.complete(kind.model_validate(ref), argument)).values


drive(Connection.open)
