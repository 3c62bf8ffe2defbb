"""HTTP at the server's port: the head of every request, bodies, and answers.

h11 reads them, so everything that HTTP/1 allows is understood: any method, HTTP/1.0, folded lines,
bodies in chunks. The head of a websocket handshake is then passed on to `websockets` in one plain
form, since that reads only GET and HTTP/1.1.
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

    def __init__(
        self,
        status: HTTPStatus,
        why: str,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """Args:
        status: of the answer.
        why: one word for logs and metrics.
        message: for the client.
        code: for the client, in place of `why`.
        param: the field that is wrong.
        headers: that say how to ask properly, in place of the usual one.
        """
        super().__init__(message)
        self.status, self.why, self.message = status, why, message
        self.code, self.param, self.headers = code or why, param, headers


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
        return [*common(self.kind), ("Content-Length", str(len(self.body))), *self.headers]


def common(kind: str) -> list[tuple[str, str]]:
    """The headers that every answer has; `kind`: its `Content-Type`."""
    return [
        ("Content-Type", kind),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Connection", "close"),
        ("Server", "salmonn-live"),
    ]


def refusal(error: RefusedError) -> Reply:
    """The answer to a refused request: OpenAI's error object as JSON."""
    body = json.dumps({"error": told(error)}).encode() + b"\n"
    meant = error.headers or ((_MEANT[error.status],) if error.status in _MEANT else ())
    return Reply(error.status, body, "application/json", meant)


def told(error: RefusedError) -> dict[str, str | None]:
    """OpenAI's error object."""
    is_ours = error.status is HTTPStatus.INTERNAL_SERVER_ERROR
    kind = "server_error" if is_ours else "invalid_request_error"
    return {
        "type": kind, "code": error.code, "message": error.message, "param": error.param
    }  # fmt: skip


class Head:
    """Collects the bytes of a connection: the head of its request, and the body if that is wanted;
    and makes the bytes of the answer."""

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
        event = self._next(data)
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

    def _next(self, data: bytes = b"") -> object:
        try:
            if data:
                self._parser.receive_data(data)
            return self._parser.next_event()
        except h11.RemoteProtocolError as error:
            status = HTTPStatus(error.error_status_hint)
            raise RefusedError(status, "request", f"This is no HTTP request: {error}.") from error

    def body(self, data: bytes) -> tuple[list[bytes], bool]:
        """Take the next bytes of a body, none at first: some may have come with the head.

        Returns:
            The pieces of it that are there, and whether it is complete.

        Raises:
            RefusedError: its chunks are wrong.
        """
        pieces = []
        event = self._next(data)
        while isinstance(event, h11.Data):
            pieces.append(bytes(event.data))
            event = self._next()
        return pieces, isinstance(event, h11.EndOfMessage)

    def go_on(self) -> bytes:
        """What a client has to be told that waits before it sends a body; maybe nothing."""
        if not self._parser.they_are_waiting_for_100_continue:
            return b""
        return self._parser.send(h11.InformationalResponse(status_code=100, headers=[])) or b""

    def begin(self, kind: str, headers: tuple[tuple[str, str], ...]) -> bytes:
        """The bytes of the head of an answer whose body follows by `piece`.

        Args:
            kind: the `Content-Type` of the body.
            headers: besides those that every answer has.
        """
        head = h11.Response(status_code=200, headers=[*common(kind), *headers], reason="OK")
        return self._parser.send(head) or b""

    def piece(self, data: bytes) -> bytes:
        """The bytes of a piece of the answer's body; of an empty one: of its end."""
        part = h11.Data(data=data) if data else h11.EndOfMessage()
        return self._parser.send(part) or b""

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
