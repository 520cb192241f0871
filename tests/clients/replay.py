"""Replays a profile (profiles.py) through the whole flow: what that client is known to send, and what it needs to get back.

Knows HTTP, OAuth and as much of MCP as one call takes; knows nothing of Sequel.
"""

import base64
import concurrent.futures
import hashlib
import http.client
import json
import re
import secrets
import time
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from scenarios import holds, same

SECONDS = 30


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    def json(self):
        return json.loads(self.body)


def send(method, url, body=None, headers=()):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=SECONDS)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body, dict(headers))
        return Answer(connection.getresponse())
    finally:
        connection.close()


class Replay:
    def __init__(self, url, profile):
        self.url, self.profile = url, profile
        self.origin = f"http://{urlsplit(url).netloc}"

    def ask_mcp(self, message, token=None):
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", **self.profile.headers}
        if message["method"] != "initialize":
            headers["MCP-Protocol-Version"] = self.profile.protocol
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return send("POST", self.url, json.dumps({"jsonrpc": "2.0", "id": 1, **message}), headers)

    def initialize(self, token=None):
        info = {"protocolVersion": self.profile.protocol, "capabilities": {}, "clientInfo": {"name": self.profile.name, "version": "1"}}
        return self.ask_mcp({"method": "initialize", "params": info}, token)

    def call(self, token):
        params = {"name": "run_query", "arguments": {"sql": "SELECT 1 AS one"}}
        return self.ask_mcp({"method": "tools/call", "params": params}, token)

    def discover(self):
        """What the client learns before it registers."""
        refused = self.initialize()
        same("the status without a token", refused.status, 401)
        challenge = refused.headers["WWW-Authenticate"]
        named = re.search(r'resource_metadata="([^"]+)"', challenge)
        holds(challenge.startswith("Bearer ") and named, f"the challenge is {challenge!r}")
        holds("error" not in challenge, f"nothing was wrong with a token, and the challenge says {challenge!r}")
        self.scope = self.profile.scope or re.search(r'scope="([^"]+)"', challenge).group(1)
        documents = [send("GET", named.group(1))]
        for path in self.profile.discovery:
            answer = send("GET", self.origin + path)
            if answer.status != 200:
                same(f"the status of {path}", answer.status, 404)
                continue
            documents.append(answer)
        found = {}
        for document in documents:
            found.update(document.json())
        same("the resource", found["resource"], self.url)
        same("the issuer", found["issuer"], found["authorization_servers"][0])
        holds("S256" in found["code_challenge_methods_supported"], "S256 is not announced")
        self.metadata = found

    def register(self):
        document = dict(self.profile.registers)
        offered = self.metadata["grant_types_supported"]
        document["grant_types"] = [grant for grant in document["grant_types"] if grant in offered]
        answer = send("POST", self.metadata["registration_endpoint"], json.dumps(document), {"Content-Type": "application/json"})
        holds(answer.status == 201, f"the registration is answered {answer.status}: {answer.body[:300]!r}")
        self.client = answer.json()
        same("the redirect URIs", self.client["redirect_uris"], document["redirect_uris"])
        same("the way to prove itself", self.client["token_endpoint_auth_method"], self.profile.auth)
        same("whether it got a secret", "client_secret" in self.client, self.profile.auth != "none")
        same("members without a value", [name for name, value in self.client.items() if value is None], [])

    def authorize_url(self):
        self.verifier, self.state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        params = {
            "response_type": "code", "client_id": self.client["client_id"], "redirect_uri": self.profile.redirect_uri,
            "code_challenge": challenge, "code_challenge_method": "S256", "state": self.state, "scope": self.scope, "resource": self.url,
        }
        return f"{self.metadata['authorization_endpoint']}?{urlencode(params, quote_via=quote)}"

    def answered(self, url):
        """The code of the URL that the browser was led to."""
        params = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        holds(url.startswith(self.profile.redirect_uri), f"the browser was led to {url.partition('?')[0]}")
        same("the state", params.get("state"), self.state)
        same("who says so", params.get("iss"), self.metadata["issuer"])
        return params["code"]

    def ask_for_tokens(self, **params):
        params = {"client_id": self.client["client_id"], "resource": self.url, **params}
        if self.profile.auth == "client_secret_post":
            params["client_secret"] = self.client["client_secret"]
        return send("POST", self.metadata["token_endpoint"], urlencode(params), {"Content-Type": "application/x-www-form-urlencoded"})

    def take(self, answer):
        holds(answer.status == 200, f"the token endpoint answers {answer.status}: {answer.body[:300]!r}")
        tokens = answer.json()
        same("the type of the token", tokens["token_type"].lower(), "bearer")
        holds("no-store" in answer.headers["Cache-Control"], "the tokens may be kept on the way")
        holds(tokens["expires_in"] > 0 and tokens["refresh_token"], f"there is no refresh token or no time: {sorted(tokens)}")
        return tokens

    def redeem(self, code):
        return self.take(self.ask_for_tokens(
            grant_type="authorization_code", code=code, redirect_uri=self.profile.redirect_uri, code_verifier=self.verifier,
        ))

    def refresh(self, tokens):
        """As many at once as the client has processes; each of them goes on with what it got."""
        def one(_):
            return self.ask_for_tokens(grant_type="refresh_token", refresh_token=tokens["refresh_token"], **self.profile.refresh_extra)

        with concurrent.futures.ThreadPoolExecutor() as pool:
            return [self.take(answer) for answer in pool.map(one, range(self.profile.refreshes_at_once))]

    def refused(self, tokens):
        refused = self.call(tokens["access_token"])
        same("the status", refused.status, 401)
        holds('error="invalid_token"' in refused.headers["WWW-Authenticate"], f"the challenge is {refused.headers['WWW-Authenticate']!r}")


def has_rows(answer):
    holds(answer.status == 200, f"the call is answered {answer.status}: {answer.body[:300]!r}")
    same("the rows", answer.json()["result"]["structuredContent"]["rows"], [[1]])


def replayed(case, profile, access_seconds):
    """discovers, registers, is let in, calls, refreshes, and is refused once it is revoked"""
    replay = Replay(case.server.url, profile)
    replay.discover()
    replay.register()
    seen = case.person.authorize(replay.authorize_url(), caught=profile.redirect_uri)
    holds(profile.name in seen["question"], f"the question is {seen['question']!r}")
    holds(profile.goes_to in seen["text"], f"the page does not say that the answer goes to {profile.goes_to}: {seen['text']}")
    tokens = replay.redeem(replay.answered(seen["answer"]))
    same("the version", replay.initialize(tokens["access_token"]).json()["result"]["protocolVersion"], profile.protocol)
    has_rows(replay.call(tokens["access_token"]))
    time.sleep(access_seconds + 1)
    replay.refused(tokens)
    for refreshed in replay.refresh(tokens):
        has_rows(replay.call(refreshed["access_token"]))
        tokens = refreshed
    gone = case.person.ask("revoke", app=profile.name, org="demo")
    same("the rows of the dashboard that are left", gone["left"], 0)
    replay.refused(tokens)
    ended = replay.ask_for_tokens(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    same("what a refresh is told", (ended.status, ended.json()["error"]), (400, "invalid_grant"))
