"""What is publicly known of clients that cannot be run here, as data: replayed, not run (replay.py).

Of each: what it registers, where the answer goes, how it proves itself at the token endpoint, what it asks for in which order,
and how it refreshes. Below `sources` stands who says so; what nobody says is marked as assumed. Clients change: a profile is
what was said at the time of its sources, and no promise that a later version does the same.
"""

import dataclasses

BOTH = ("authorization_code", "refresh_token")
PRM, PRM_ROOT = "/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"
AS = "/.well-known/oauth-authorization-server"
OIDC = "/.well-known/openid-configuration"
# Forms that some clients try first; whoever has nothing there answers 404, and no empty document.
AS_AT_MCP, OIDC_AT_MCP, OIDC_BELOW_MCP = AS + "/mcp", OIDC + "/mcp", "/mcp" + OIDC


@dataclasses.dataclass
class Profile:
    # The page must show this name, and this as the place that the answer goes to.
    name: str
    goes_to: str
    # The registration document, as it is sent.
    registers: dict
    redirect_uri: str
    sources: tuple
    # Well-known paths in the order in which they are asked for; what is found there is used.
    discovery: tuple = (PRM, AS)
    # The method that is asked for at registration, and used as the server's answer says.
    auth: str = "none"
    # What it sends along with a refresh, beside what the specification wants.
    refresh_extra: dict = dataclasses.field(default_factory=dict)
    # How many of its processes refresh with the same token at once.
    refreshes_at_once: int = 1
    headers: dict = dataclasses.field(default_factory=dict)
    protocol: str = "2025-06-18"
    # None: the scope of the challenge. Else what it asks for whatever the server says.
    scope: str | None = None


def _registers(name, redirect_uris, auth="none", **more):
    return {
        "client_name": name, "redirect_uris": list(redirect_uris), "grant_types": list(BOTH), "response_types": ["code"],
        "token_endpoint_auth_method": auth, **more,
    }


# All three in one registration: who refuses one refuses Cursor. `application_type` is left out.
CURSOR = _registers("Cursor", [
    "cursor://anysphere.cursor-mcp/oauth/callback",
    "https://www.cursor.com/agents/mcp/oauth/callback",
    "http://localhost:8787/callback",
])
CURSOR_SOURCES = (
    "github.com/erp-mafia/accounted/pull/2225: the three redirect URIs of one registration, and that current builds are sent back to "
    "localhost:8787 (after forum.cursor.com, thread 165019)",
    "github.com/bytebase/bytebase/issues/20510: the editor and cursor-agent are sent back to www.cursor.com",
    "github.com/better-auth/better-auth/pull/10956: public client, no application_type (Cursor 3.13.25)",
)

VSCODE = _registers(
    "Visual Studio Code",
    ["https://insiders.vscode.dev/redirect", "https://vscode.dev/redirect", "http://127.0.0.1/", "http://127.0.0.1:33418/"],
    client_uri="https://code.visualstudio.com", scope="schema:read query:run", application_type="native",
)
VSCODE_SOURCES = (
    "github.com/microsoft/vscode, src/vs/base/common/oauth.ts: the registration document; the challenge's document, whose resource "
    "has to be the server's URL; then the authorization server's",
    "github.com/microsoft/vscode/issues/278512: another port than the registered one where 33418 is taken",
)

CLAUDE_AI_SOURCES = (
    "github.com/anthropics/claude-ai-mcp/issues/1043: registers from a server of its own (python-httpx) with client_secret_post",
    "github.com/anthropics/claude-ai-mcp/issues/667: and sends its secret in the body whatever the metadata prefers",
    "github.com/anthropics/claude-ai-mcp/issues/500: registers without a scope",
    "docs.zuora.com and developers.boldsign.com: answers go to claude.ai or claude.com, /api/mcp/auth_callback",
    "claude.com/docs/connectors/building/authentication: asks for the scope of the challenge, refreshes with a refresh token where it got one",
    "github.com/anthropics/claude-ai-mcp/issues/228: refreshes at the next call; assumed: two workers may do so at once",
)

EACH = {
    "cursor": Profile(
        "Cursor", "localhost", CURSOR, "http://localhost:8787/callback", CURSOR_SOURCES,
        headers={"User-Agent": "Cursor/3.13.25"},
    ),
    "cursor-link": Profile(
        "Cursor", "cursor:", CURSOR, "cursor://anysphere.cursor-mcp/oauth/callback", CURSOR_SOURCES,
        headers={"User-Agent": "Cursor/3.0.0"},
    ),
    "cursor-agents": Profile(
        "Cursor", "www.cursor.com", CURSOR, "https://www.cursor.com/agents/mcp/oauth/callback", CURSOR_SOURCES,
    ),
    "vscode": Profile(
        "Visual Studio Code", "127.0.0.1", VSCODE, "http://127.0.0.1:59656/", VSCODE_SOURCES, protocol="2025-11-25",
    ),
    "vscode-web": Profile(
        "Visual Studio Code", "vscode.dev", VSCODE, "https://vscode.dev/redirect", VSCODE_SOURCES, protocol="2025-11-25",
    ),
    "windsurf": Profile(
        "Windsurf", "localhost", _registers("Windsurf", ["http://localhost:45123/oauth/callback"], scope="openid email profile"),
        "http://localhost:45123/oauth/callback",
        (
            "docs.windsurf.com/windsurf/cascade/mcp: signs in by OAuth with every transport",
            "github.com/supabase/mcp/issues/183: asks for openid, email and profile when it registers",
            "Where its answers go is documented nowhere: a loopback port is assumed.",
        ),
        discovery=(PRM_ROOT, AS), protocol="2025-03-26",
    ),
    "windsurf-link": Profile(
        "Windsurf", "windsurf:", _registers("Windsurf", ["windsurf://codeium.windsurf/callback"]),
        "windsurf://codeium.windsurf/callback",
        (
            "github.com/actionhero/keryx/pull/502 and github.com/trypostit/trypost/pull/336: desktop clients, Windsurf among them, are "
            "sent back by a scheme of their own; windsurf://codeium.windsurf is the one that it opens elsewhere",
            "The path is assumed.",
        ),
        discovery=(PRM_ROOT, AS), protocol="2025-03-26",
    ),
    "zed": Profile(
        "Zed", "127.0.0.1", _registers("Zed", ["http://127.0.0.1/callback"], client_uri="https://zed.dev"),
        "http://127.0.0.1:27523/callback",
        (
            "github.com/zed-industries/zed/pull/51768: the challenge's document, the authorization server's, dynamic registration where no "
            "metadata documents of clients are taken; port 27523 where it is free",
            "github.com/zed-industries/zed/issues/56210: http://127.0.0.1/callback is registered, and the port added later",
            "An earlier state of its code sends client_secret without a value when it refreshes, which RFC 6749, 3.2 counts as not sent.",
        ),
        refresh_extra={"client_secret": ""}, protocol="2025-03-26",
    ),
    "chatgpt": Profile(
        "ChatGPT", "chatgpt.com", _registers("ChatGPT", ["https://chatgpt.com/connector/oauth/OUbdUMlL15Ct"]),
        "https://chatgpt.com/connector/oauth/OUbdUMlL15Ct",
        (
            "github.com/BasedHardware/omi/issues/8824: a callback of its own for each connector, below chatgpt.com/connector/oauth/",
            "github.com/panda850819 in github.com/garrytan/gbrain/pull/894: a public client with PKCE",
            "zuplo.com/learn/mcp/compatibility/clients/chatgpt-connectors: dynamic registration where no metadata documents of clients are "
            "taken, sends resource",
            "Which well-known paths it tries beside these two is assumed.",
        ),
        discovery=(PRM, AS_AT_MCP, OIDC_AT_MCP, AS, OIDC),
        headers={"User-Agent": "openai-mcp/1.0.0"}, protocol="2025-06-18", refreshes_at_once=2,
    ),
    "chatgpt-secret": Profile(
        "ChatGPT", "chatgpt.com",
        _registers("ChatGPT", ["https://chatgpt.com/connector_platform_oauth_redirect"], auth="client_secret_post"),
        "https://chatgpt.com/connector_platform_oauth_redirect",
        (
            "github.com/danielealbano/android-remote-control-mcp/pull/166: the former callback, which is still in use",
            "github.com/gts360/django-oauth-toolkit-dcr/pull/1: insists on client_secret_post where it asked for it",
        ),
        auth="client_secret_post",
    ),
    "claude-ai": Profile(
        "Claude", "claude.ai", _registers("Claude", ["https://claude.ai/api/mcp/auth_callback"], auth="client_secret_post"),
        "https://claude.ai/api/mcp/auth_callback", CLAUDE_AI_SOURCES,
        discovery=(PRM, AS), auth="client_secret_post", refreshes_at_once=2,
        headers={"User-Agent": "python-httpx/0.28.1"}, protocol="2025-11-25",
    ),
    "claude-com": Profile(
        "Claude", "claude.com",
        _registers("Claude", ["https://claude.ai/api/mcp/auth_callback", "https://claude.com/api/mcp/auth_callback"]),
        "https://claude.com/api/mcp/auth_callback", CLAUDE_AI_SOURCES,
        discovery=(PRM, PRM_ROOT, AS_AT_MCP, OIDC_BELOW_MCP, AS), headers={"User-Agent": "python-httpx/0.28.1"}, protocol="2025-06-18",
    ),
}
