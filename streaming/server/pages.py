"""What the server's port has for HTTP: pages, health, metrics, and a word about what it lacks."""

import json
import mimetypes
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from pathlib import Path

from streaming.server.http import ALLOW, READ, RefusedError, Reply, Request

PAGE = Path(__file__).parents[2] / "clients" / "browser"
SOCKET = "/v1/realtime"

NOT_OFFERED = {
    f"{SOCKET}/calls": "WebRTC",
    f"{SOCKET}/client_secrets": "ephemeral keys",
    f"{SOCKET}/sessions": "ephemeral keys",
    f"{SOCKET}/transcription_sessions": "transcription sessions",
    f"{SOCKET}/translations": "translation sessions",
}
"""Addresses of OpenAI's API that clients may try, and what they are for."""

KEYED = ("/metrics", "/v1/models")
"""What only those see who bring the token, where there is one. Everyone sees the page, and whether
the server is well."""


class Pages:
    """Answers to requests that open no socket."""

    def __init__(self, model: str, metrics: Callable[[], bytes]) -> None:
        """Args:
        model: its name.
        metrics: in Prometheus' text format.
        """
        self._model, self._metrics = model, metrics

    def answer(self, request: Request, ready: bool) -> Reply:
        """The answer to a request for anything but a session.

        Args:
            request: its token was checked where it is for one of `KEYED`.
            ready: new sessions are taken.

        Raises:
            RefusedError: there is nothing at this address, or not for this method.
        """
        if request.method == "OPTIONS":
            return Reply(HTTPStatus.NO_CONTENT, b"", "text/plain", (ALLOW,))
        if (what := NOT_OFFERED.get(request.path)) is not None:
            why = f"Not offered here: {what}. Open a websocket at {SOCKET}."
            raise RefusedError(HTTPStatus.NOT_IMPLEMENTED, "not_offered", why)
        if request.method not in READ:
            why = f"{request.path} takes {ALLOW[1]} only."
            raise RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, "method", why)
        match request.path:
            case "/healthz":
                return Reply(HTTPStatus.OK, b"ok\n", "text/plain")
            case "/readyz" if ready:
                return Reply(HTTPStatus.OK, b"ready\n", "text/plain")
            case "/readyz":
                return Reply(HTTPStatus.SERVICE_UNAVAILABLE, b"draining\n", "text/plain")
            case "/metrics":
                return Reply(HTTPStatus.OK, self._metrics(), "text/plain; version=0.0.4")
            case "/v1/models":
                model = {"id": self._model, "object": "model", "owned_by": "salmonn-live"}
                listed = json.dumps({"object": "list", "data": [model]}).encode()
                return Reply(HTTPStatus.OK, listed, "application/json")
        return _file(request.path)


def _file(path: str) -> Reply:
    """A file of the browser page; nothing outside its folder.

    Raises:
        RefusedError: there is no such file.
    """
    name = "index.html" if path == "/" else path.removeprefix("/")
    found = _files().get(name)
    if found is None:
        why = f"There is nothing at this address. Sessions: a websocket at {SOCKET}."
        raise RefusedError(HTTPStatus.NOT_FOUND, "not_found", why)
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Reply(HTTPStatus.OK, found.read_bytes(), kind)


@cache
def _files() -> dict[str, Path]:
    """The page's files by their addresses; looked up once, so no address can lead elsewhere."""
    return {f.relative_to(PAGE).as_posix(): f for f in PAGE.rglob("*") if f.is_file()}
