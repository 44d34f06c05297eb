"""An offline stand-in for a language model: OpenAI's chat completions, on loopback."""

import contextlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

Request = dict[str, Any]


class _Http(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True


class LmServer:
    """Answers every field that it is asked for, in DSPy's chat format, and records what it got.

    The text is `<field> to <last user message's first input>`, or what `reply` makes of the
    request. Its faults: `status` and `error` refuse, with `retry_after`; it answers when `arrived`
    returns; `fault` is "cut" (the connection, before the answer), "half" (in the middle of it),
    "drip" or "drip_head" (a byte now and then, for a minute), or "no_json"; `body` is sent in place
    of an answer. `connections` counts those that it has accepted.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.bodies: list[bytes] = []
        self.status = 200
        self.error: dict[str, Any] = {"message": "not now", "type": "refused", "code": "refused"}
        self.retry_after: str | None = None
        self.fault: str | None = None
        self.body: bytes | None = None
        self.reply: Callable[[Request], str] = echo
        self.arrived: Callable[[], object] = lambda: None
        self.connections = 0
        self._ended = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                server.connections += 1
                super().setup()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                request = json.loads(body)
                server.bodies.append(body)
                server.requests.append(request)
                server.arrived()
                with contextlib.suppress(ConnectionError):
                    server.send(self, request)

            def log_message(self, *args: object) -> None:
                pass

        self._http = _Http(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    def __enter__(self) -> "LmServer":
        self._thread.start()
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def send(self, http: BaseHTTPRequestHandler, request: Request) -> None:
        if self.fault is not None:
            http.close_connection = True
        if self.fault == "cut":
            return
        if self.fault == "drip_head":
            http.wfile.write(b"HTTP/1.1 200 OK\r\nx-pad: ")
            self._drip(http)
        if self.status == 200 and request.get("stream"):
            self._send_stream(http, request)
            return
        answer = {"error": self.error} if self.status != 200 else completion(request, self.reply)
        body = b"{" if self.fault == "no_json" else json.dumps(answer).encode()
        if self.body is not None:
            body = self.body
        http.send_response(self.status)
        http.send_header("content-type", "application/json")
        http.send_header("content-length", str(len(body)))
        if self.retry_after is not None:
            http.send_header("retry-after", self.retry_after)
        http.end_headers()
        if self.fault == "drip":
            self._drip(http)
        http.wfile.write(body[: len(body) // 2] if self.fault == "half" else body)

    def _send_stream(self, http: BaseHTTPRequestHandler, request: Request) -> None:
        http.send_response(200)
        http.send_header("content-type", "text/event-stream")
        http.send_header("connection", "close")
        http.end_headers()
        pieces = re.findall(r".{1,5}", self.reply(request), re.DOTALL)
        for number, piece in enumerate(pieces):
            if self.fault == "half" and number == len(pieces) // 2:
                return
            _send_event(http, request, {"delta": {"content": piece}, "finish_reason": None})
        _send_event(http, request, {"delta": {}, "finish_reason": "stop"})
        http.wfile.write(
            b"data: " + json.dumps({**_head(request), "choices": [], "usage": USAGE}).encode()
        )
        http.wfile.write(b"\n\ndata: [DONE]\n\n")

    def _drip(self, http: BaseHTTPRequestHandler) -> None:
        """Until nobody listens any more, or the server ends, or somebody has listened for long."""
        for _ in range(600):
            if self._ended.wait(0.1):
                break
            http.wfile.write(b" ")


USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def echo(request: Request) -> str:
    """Answers each field with its name and the question, and calls no tools."""
    question = text_of(request["messages"][-1])
    asked = re.search(r"\]\]\n(.*?)\n", question + "\n")
    answer = {field: f"{field} to {asked[1] if asked else ''}" for field in asked_for(request)}
    if "next_tool_name" in answer:
        answer.update(next_tool_name="finish", next_tool_args="{}")
    return chat_format(answer)


def asked_for(request: Request) -> list[str]:
    """The fields that a prompt of DSPy's chat format asks for."""
    wanted = text_of(request["messages"][-1]).rpartition("Respond with")[2]
    fields = re.findall(r"`\[\[ ## ([^\]]+?) ## \]\]`", wanted)
    return [field for field in fields if field != "completed"]


def chat_format(fields: Mapping[str, object]) -> str:
    parts = [f"[[ ## {field} ## ]]\n{text}" for field, text in fields.items()]
    return "\n\n".join([*parts, "[[ ## completed ## ]]\n"])


def completion(request: Request, reply: Callable[[Request], str]) -> dict[str, Any]:
    message = {"role": "assistant", "content": reply(request)}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": request["model"],
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": USAGE,
    }


def contents(request: Request, role: str) -> list[str]:
    """What one role says in a prompt."""
    return [text_of(message) for message in request["messages"] if message["role"] == role]


def text_of(message: dict[str, Any]) -> str:
    content = message["content"]
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def _head(request: Request) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": request["model"],
    }


def _send_event(http: BaseHTTPRequestHandler, request: Request, choice: dict[str, Any]) -> None:
    event = {**_head(request), "choices": [{"index": 0, **choice}]}
    http.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")
    http.wfile.flush()
