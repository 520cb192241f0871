"""A model that knows one trick, on loopback: it asks for the tool it was told to, and repeats what came back.

It stands in for the paid model behind Claude Code and Gemini CLI, so that those applications themselves carry
a call from a model's wish to the rows, without an account. It speaks just enough of two interfaces: Anthropic's
`/v1/messages` and Google's `…:streamGenerateContent`. Knows no MCP: it sees tools as the application shows them.
"""

import http.server
import json
import threading


class Model:
    """Use as a context manager; `url` is its base. `wish` are the arguments that it calls `tool` with."""

    def __init__(self, tool, wish):
        self.tool, self.wish = tool, wish
        # The names of the tools that the application offered, and what it said came of the call.
        self.offered, self.answers = [], []

    def __enter__(self):
        model = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                self._send(404, "application/json", b"{}")

            do_HEAD = do_GET

            def do_POST(self):
                request = json.loads(self._body() or b"{}")
                if self.path.startswith("/v1/messages"):
                    kind, body = model._anthropic(request)
                elif "GenerateContent" in self.path or "generateContent" in self.path:
                    kind, body = model._google(request, "stream" in self.path)
                else:
                    kind, body = "application/json", "{}"
                self._send(200, kind, body.encode())

            def _body(self):
                if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = b""
                while size := int(self.rfile.readline() or b"0", 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def _send(self, status, kind, body):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def _chosen(self, names):
        """The application's own name for the tool, where it offers it."""
        self.offered = names or self.offered
        return next((name for name in names if name.endswith(self.tool)), None)

    def _anthropic(self, request):
        blocks = [block for message in request.get("messages", []) if isinstance(message.get("content"), list) for block in message["content"]]
        results = [block for block in blocks if block.get("type") == "tool_result"]
        tool = self._chosen([tool["name"] for tool in request.get("tools", []) if "name" in tool])
        if results:
            self.answers.append(json.dumps(results[-1].get("content"), ensure_ascii=False))
            block, delta, stop = {"type": "text", "text": ""}, {"type": "text_delta", "text": "Done."}, "end_turn"
        elif tool:
            block = {"type": "tool_use", "id": "toolu_1", "name": tool, "input": {}}
            delta, stop = {"type": "input_json_delta", "partial_json": json.dumps(self.wish)}, "tool_use"
        else:
            block, delta, stop = {"type": "text", "text": ""}, {"type": "text_delta", "text": "There is no such tool."}, "end_turn"
        message = {
            "id": "msg_1", "type": "message", "role": "assistant", "model": request.get("model"), "content": [],
            "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
        }
        if not request.get("stream"):
            full = {**block, "input": self.wish} if stop == "tool_use" else {**block, "text": delta["text"]}
            return "application/json", json.dumps({**message, "content": [full], "stop_reason": stop})
        events = [
            ("message_start", {"message": message}),
            ("content_block_start", {"index": 0, "content_block": block}),
            ("content_block_delta", {"index": 0, "delta": delta}),
            ("content_block_stop", {"index": 0}),
            ("message_delta", {"delta": {"stop_reason": stop, "stop_sequence": None}, "usage": {"output_tokens": 1}}),
            ("message_stop", {}),
        ]
        lines = (f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n" for name, fields in events)
        return "text/event-stream", "".join(lines)

    def _google(self, request, stream):
        parts = [part for content in request.get("contents", []) for part in content.get("parts", [])]
        results = [part["functionResponse"] for part in parts if "functionResponse" in part]
        declared = [entry["name"] for tool in request.get("tools", []) for entry in tool.get("functionDeclarations", [])]
        tool = self._chosen(declared)
        if results:
            self.answers.append(json.dumps(results[-1].get("response"), ensure_ascii=False))
            part = {"text": "Done."}
        elif tool:
            part = {"functionCall": {"name": tool, "args": self.wish}}
        else:
            # What it asks beside the conversation wants JSON.
            part = {"text": "{}"}
        answer = json.dumps({
            "candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2},
        })
        return ("text/event-stream", f"data: {answer}\n\n") if stream else ("application/json", answer)
