"""HTTP at the server's port: the head of every request, and answers to those that open no socket.

h11 reads the head, so everything that HTTP/1 allows is understood: any method, HTTP/1.0, folded
lines. The head of a websocket handshake is then passed on to `websockets` in one plain form, since
that reads only GET and HTTP/1.1.
"""

import json
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import h11

HEAD_BYTES = 16 * 2**10
"""Longest head of a request; a longer one is answered with 431."""

LINE_BYTES, LINES = 8_000, 100
"""Longest header, and most headers: a little less than `websockets` accepts."""

_CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""Characters that no header may contain (RFC 9110, section 5.5); h11 lets most of them pass."""


READ = ("GET", "HEAD")
"""Methods for reading pages and metrics."""

ALLOW = ("Allow", ", ".join((*READ, "OPTIONS")))
"""The header that lists the allowed methods."""

_MEANT = {
    HTTPStatus.UNAUTHORIZED: ("WWW-Authenticate", 'Bearer realm="salmonn-live"'),
    HTTPStatus.METHOD_NOT_ALLOWED: ALLOW,
    HTTPStatus.UPGRADE_REQUIRED: ("Upgrade", "websocket"),
}
"""The header that says how to ask properly, by status (RFC 9110, section 15.5)."""


@dataclass(frozen=True, slots=True)
class Request:
    """The head of an HTTP request."""

    method: str
    target: str
    """Path and query, as they came."""

    version: str
    """Version of HTTP, "1.0" or "1.1"."""

    headers: tuple[tuple[str, str], ...]
    """Names, in lower case, and values. Bytes that are not ASCII are surrogates."""

    path: str = field(init=False)
    """The path without query and trailing slashes; "/" alone is kept."""

    query: dict[str, str] = field(init=False)
    """The query: the first value of each parameter."""

    def __post_init__(self) -> None:
        """Raises ValueError if the target is no address, such as `//[`."""
        parts = urlsplit(self.target)
        first = {name: values[0] for name, values in parse_qs(parts.query).items()}
        object.__setattr__(self, "path", parts.path.rstrip("/") or "/")
        object.__setattr__(self, "query", first)

    def all(self, name: str) -> list[str]:
        """Every value of a header, `name` in lower case."""
        return [value for key, value in self.headers if key == name]

    def one(self, name: str) -> str | None:
        """The value of a header that may occur once; None if it is missing.

        Raises:
            RefusedError: it occurs more than once.
        """
        values = self.all(name)
        if len(values) > 1:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "header", f"More than one {name} header.")
        return values[0] if values else None

    @property
    def wants_socket(self) -> bool:
        """Whether the request asks for a websocket."""
        asked = ",".join(self.all("upgrade")).lower().split(",")
        return self.method == "GET" and "websocket" in (word.strip() for word in asked)

    def serialised(self) -> bytes:
        """The head as bytes of HTTP/1.1, with one line per header."""
        lines = [f"{self.method} {self.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join([*lines, "", ""]).encode("ascii", "surrogateescape")


class RefusedError(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: HTTPStatus, why: str, message: str) -> None:
        """Args:
        status: of the answer.
        why: one word for logs and metrics.
        message: for the client.
        """
        super().__init__(message)
        self.status, self.why, self.message = status, why, message


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to a request."""

    status: HTTPStatus
    body: bytes
    kind: str
    """The `Content-Type` of the body."""

    headers: tuple[tuple[str, str], ...] = ()
    """Headers besides those that every answer has."""

    def all_headers(self) -> list[tuple[str, str]]:
        """Every header of the answer."""
        return [
            ("Content-Type", self.kind),
            ("Content-Length", str(len(self.body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Connection", "close"),
            ("Server", "salmonn-live"),
            *self.headers,
        ]


def refusal(error: RefusedError) -> Reply:
    """The answer to a refused request: OpenAI's error object as JSON."""
    told = {"type": "invalid_request_error", "code": error.why, "message": error.message}
    body = json.dumps({"error": told}).encode() + b"\n"
    meant = (_MEANT[error.status],) if error.status in _MEANT else ()
    return Reply(error.status, body, "application/json", meant)


class Head:
    """Collects the bytes of a connection until the head of its request is complete."""

    def __init__(self) -> None:
        self._parser = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        self._taken = 0  # bytes
        self._body = True  # an answer has one

    def push(self, data: bytes) -> tuple[Request, bytes] | None:
        """Take the next bytes.

        Returns:
            The request, and the bytes after its head; None while the head is incomplete.

        Raises:
            RefusedError: it is no HTTP request, or its head is longer than `HEAD_BYTES`.
        """
        self._taken += len(data)
        try:
            self._parser.receive_data(data)
            event = self._parser.next_event()
        except h11.RemoteProtocolError as error:
            status = HTTPStatus(error.error_status_hint)
            raise RefusedError(status, "request", f"This is no HTTP request: {error}.") from error
        if not isinstance(event, h11.Request):
            return None
        rest = self._parser.trailing_data[0]
        _check_head(event, self._taken - len(rest))
        self._body = event.method != b"HEAD"
        headers = ((_text(name), _text(value)) for name, value in event.headers)
        try:
            request = Request(
                _text(event.method), _text(event.target), _text(event.http_version), tuple(headers)
            )
        except ValueError as error:
            why = "The address cannot be understood."
            raise RefusedError(HTTPStatus.BAD_REQUEST, "address", why) from error
        return request, rest

    def answer(self, reply: Reply) -> bytes:
        """The bytes of a reply, without its body if the request was HEAD.

        This works whatever was read before, even if it was no request.
        """
        response = h11.Response(
            status_code=reply.status.value, headers=reply.all_headers(), reason=reply.status.phrase
        )
        body = [h11.Data(data=reply.body)] if self._body else []
        return b"".join(
            self._parser.send(part) or b"" for part in [response, *body, h11.EndOfMessage()]
        )


def _check_head(event: h11.Request, size: int) -> None:
    """Raises RefusedError for heads that h11 accepts and that are not allowed here."""
    longest = max((len(name) + len(value) for name, value in event.headers), default=0)
    if max(longest, len(event.target)) > LINE_BYTES or len(event.headers) > LINES:
        size = HEAD_BYTES + 1
    if size > HEAD_BYTES:
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        raise RefusedError(status, "request", "The head of the request is too long.")
    if any(_CONTROLS.search(value) for _, value in event.headers):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "header", "A header has control characters.")


def _text(raw: bytes) -> str:
    return raw.decode("ascii", "surrogateescape")
