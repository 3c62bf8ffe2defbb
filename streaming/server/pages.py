"""The server's answers to plain HTTP: pages, health, metrics, and errors for what it does not
offer."""

import json
import mimetypes
import time
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from streaming.server.http import ALLOW, READ, RefusedError, Reply, Request

PAGE = Path(__file__).parents[2] / "clients" / "browser"
SOCKET = "/v1/realtime"

NOT_OFFERED = {
    f"{SOCKET}/sessions": "the beta's ephemeral keys",
    f"{SOCKET}/transcription_sessions": "the beta's ephemeral keys",
    f"{SOCKET}/translations": "translation sessions",
    "/v1/audio/translations": "translations",
    "/v1/responses": "the Responses API",
    "/v1/completions": "completions without a chat",
    "/v1/embeddings": "embeddings",
}
"""Addresses of OpenAI's API that are not offered here, and what they are for."""

KEYED = ("/metrics", "/v1/models")
"""Addresses that need the token, if there is one, as what is below them does. The page and the
server's health need none."""


class Pages:
    """Answers requests that open no socket."""

    def __init__(self, model: str, metrics: Callable[[], bytes]) -> None:
        """Args:
        model: name of the model.
        metrics: returns the metrics in Prometheus' text format.
        """
        self._model, self._metrics = model, metrics
        self._begun = int(time.time())

    def answer(self, request: Request, ready: bool) -> Reply:
        """The answer to a request for anything but a session.

        Args:
            request: for one of `KEYED`, its token has to be checked before.
            ready: whether the server takes new sessions.

        Raises:
            RefusedError: there is nothing at this address, or the method is not allowed.
        """
        if request.method == "OPTIONS":
            return Reply(HTTPStatus.NO_CONTENT, b"", "text/plain", (ALLOW,))
        if (what := NOT_OFFERED.get(request.path)) is not None:
            why = f"Not offered here: {what}. See the protocol's page for what is."
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
                return _json({"object": "list", "data": [self._about_model()]})
            case path if path == f"/v1/models/{self._model}":
                return _json(self._about_model())
        return _file(request.path)

    def _about_model(self) -> dict[str, Any]:
        about = {"object": "model", "owned_by": "salmonn-live"}
        return {"id": self._model, "created": self._begun, **about}


def _json(told: dict[str, Any]) -> Reply:
    return Reply(HTTPStatus.OK, json.dumps(told).encode(), "application/json")


def _file(path: str) -> Reply:
    """A file of the browser page, from its folder alone.

    Raises:
        RefusedError: the page has no such file.
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
    """The page's files by their addresses. They are listed once, so no address can lead
    elsewhere."""
    return {f.relative_to(PAGE).as_posix(): f for f in PAGE.rglob("*") if f.is_file()}
