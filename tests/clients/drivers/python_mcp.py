"""The Python SDK (`mcp` 2.x) as a driver of tests/clients (lines.py).

Its argument is the SDK's own mode: `auto` (the default: discover first) or `legacy`.
"""

import contextlib
import sys

import httpx2
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata
from mcp_types import PromptReference, ResourceTemplateReference

from lines import Held, drive, plain, remember
from sign_in import Callback

MODE = sys.argv[1] if len(sys.argv) > 1 else "auto"


class Memory:
    """What a client that signs in keeps."""

    tokens = client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


async def signing_in(url):
    callback = await Callback.open()

    async def answer():
        answered = await callback.answered
        return AuthorizationCodeResult(code=answered["code"], state=answered.get("state"), iss=answered.get("iss"))

    metadata = OAuthClientMetadata(client_name="sequel-tests-python", redirect_uris=[callback.url])
    return OAuthClientProvider(url, metadata, Memory(), callback.browse, answer)


class Connection:
    listening = None

    @classmethod
    async def open(cls, url, key, seen):
        self = cls()
        self.held = Held(self._client(url, key, seen))
        self.client = await self.held.ready
        self.protocol = self.client.protocol_version
        return self

    @staticmethod
    @contextlib.asynccontextmanager
    async def _client(url, key, seen):
        hooks = {"response": [lambda response: remember(response, seen)]}
        proof = {"headers": {"Authorization": f"Bearer {key}"}} if key else {"auth": await signing_in(url)}
        async with httpx2.AsyncClient(**proof, event_hooks=hooks, timeout=60) as http:
            async with Client(streamable_http_client(url, http_client=http), mode=MODE) as client:
                yield client

    async def close(self):
        if self.listening:
            await self.listening.close()
        await self.held.close()

    async def list_tools(self):
        return plain((await self.client.list_tools()).tools)

    async def call(self, name, arguments, notes=None):
        async def hear(progress, total, message):
            notes.append({"progress": progress, "total": total, "message": message})

        heard = {} if notes is None else {"progress_callback": hear}
        return plain([await self.client.call_tool(name, arguments, **heard)])[0]

    async def listen(self):
        listening = self.client.listen(tools_list_changed=True, resources_list_changed=True)
        self.listening = Held(listening)
        self.changes = await self.listening.ready
        return plain([self.changes.honored])[0]

    async def change(self):
        change = await anext(self.changes)
        return {"ResourcesListChanged": "resources"}.get(type(change).__name__, repr(change))

    async def list_resources(self):
        return plain((await self.client.list_resources()).resources)

    async def list_resource_templates(self):
        return plain((await self.client.list_resource_templates()).resource_templates)

    async def read_resource(self, uri):
        return plain((await self.client.read_resource(uri)).contents)

    async def list_prompts(self):
        return plain((await self.client.list_prompts()).prompts)

    async def get_prompt(self, name, arguments):
        return plain((await self.client.get_prompt(name, arguments)).messages)

    async def complete(self, ref, argument):
        kind = PromptReference if ref["type"] == "ref/prompt" else ResourceTemplateReference
        return (await self.client.complete(kind.model_validate(ref), argument)).completion.values


drive(Connection.open)
