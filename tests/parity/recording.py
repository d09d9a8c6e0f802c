"""What a client sends: a server that keeps requests, and calls that are given as text.

The interpreters of the official packages run this too, so it imports the standard library alone.
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import parse_qsl, urlsplit

from tests.parity import official_calls

if TYPE_CHECKING:
    from types import ModuleType

NOW = "<now>"
"""Stands for the current second, which a client puts into what it sends."""

_STATUS = "/api/get_operation_status"
_SECONDS = 60.0
_HEADERS = ("Authorization", "X-Bootstrap-Token")


class RecordingServer:
    """A server on loopback that keeps requests, and answers none with success. Use it as a context manager.

    A client asks for the status of an operation as often as it likes, so those requests are not kept.
    """

    def __init__(self) -> None:
        self._requests: list[dict[str, Any]] = []
        self._arrived = threading.Condition()

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"keep": self._keep})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def take(self, *, wait: bool) -> list[dict[str, Any]]:
        """The requests since the last call of this. With ``wait`` it waits for one, up to a minute."""
        with self._arrived:
            if wait:
                self._arrived.wait_for(lambda: self._requests, _SECONDS)
            taken, self._requests = self._requests, []
        return taken

    def _keep(self, request: dict[str, Any]) -> None:
        with self._arrived:
            self._requests.append(request)
            self._arrived.notify_all()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore that a client closed its connection."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    keep: Any

    def answer(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        if path != _STATUS:
            type(self).keep(_request(self.command, self.path, content, dict(self.headers.items())))
        body = json.dumps(_response(path)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815  # the names of http.server

    def log_message(self, format: str, *_: Any) -> None:  # noqa: A002  # the name of http.server
        """Print nothing."""


def _request(method: str, target: str, content: bytes, headers: dict[str, str]) -> dict[str, Any]:
    where = urlsplit(target)
    request: dict[str, Any] = {"method": method, "path": where.path}
    if where.query:
        request["query"] = dict(sorted(parse_qsl(where.query, keep_blank_values=True)))
    if content:
        request["body"] = _timeless(json.loads(content))
    sent = {name.title(): value for name, value in headers.items()}
    if kept := {name: sent[name] for name in _HEADERS if name in sent}:
        request["headers"] = kept
    return request


def _timeless(value: Any) -> Any:
    """``value`` with NOW for the current second."""
    if isinstance(value, dict):
        return {name: _timeless(part) for name, part in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_timeless(part) for part in cast("Any", value)]
    return NOW if isinstance(value, int) and abs(value - time.time()) < _SECONDS else value


def _response(path: str) -> Any:
    """A response that ends a call. It is no success, so no request follows it, and nothing is cached."""
    if path == _STATUS:
        return {"success": False, "msg": "No operation found"}
    return [] if path.endswith("/memory/query") else {"success": False, "message": "recorded"}


class Names(dict[str, Any]):
    """The names in a call's text: those given, those of ``official_calls``, and a package's public ones."""

    def __init__(self, package: ModuleType, **given: Any) -> None:
        super().__init__(vars(official_calls), **given)
        self._package = package

    def __missing__(self, name: str) -> Any:
        return getattr(self._package, name)


def evaluate(call: str, names: Names) -> Any:
    """What the call returns."""
    return eval(call, {"__builtins__": {}}, names)  # noqa: S307  # texts of official_calls.py
