"""Decides who may connect, by the host, origin and token of a request, and for what."""

import hmac
import ipaddress
import socket
from http import HTTPStatus
from typing import Any
from urllib.parse import SplitResult, urlsplit

from streaming.config import ServerConfig
from streaming.server.ephemeral import Ephemeral
from streaming.server.http import RefusedError, Request

KEY_PROTOCOL = "openai-insecure-api-key."
"""Prefix of the subprotocol in which browsers send the key, since they cannot send headers."""

DEFAULT_PORTS = {"http": 80, "https": 443}


class Admission:
    """The rules of one server for who may connect."""

    def __init__(
        self,
        config: ServerConfig,
        *,
        transcribes: bool = False,
        ephemeral: Ephemeral | None = None,
    ) -> None:
        """Args:
        config: who may connect.
        transcribes: there are sessions for transcription alone.
        ephemeral: tokens that open sessions, besides the one of `config`.
        """
        self._config, self._transcribes = config, transcribes
        self._ephemeral = ephemeral or Ephemeral()
        self._scheme = "http" if config.certificate is None else "https"
        machine = socket.gethostname().lower()
        names = {"localhost", config.host, machine, f"{machine}.local", *config.hosts}
        self._names = {name.lower() for name in names}

    def check(self, request: Request) -> None:
        """Check the host of any request.

        Raises:
            RefusedError: it is another host's, as in requests of a page whose name was made to
                point at this machine (DNS rebinding).
        """
        host = request.one("host")
        if host is None:
            if request.version == "1.0":  # from before there was the header: no browser
                return
            raise RefusedError(HTTPStatus.BAD_REQUEST, "host", "A request needs a Host header.")
        parts = _parsed(f"//{host}")
        if parts is None or parts.hostname is None:
            why = "The Host header cannot be understood."
            raise RefusedError(HTTPStatus.BAD_REQUEST, "host", why)
        if not self._is_ours(parts.hostname):
            why = "This server does not answer to that host name; see server.hosts."
            raise RefusedError(HTTPStatus.FORBIDDEN, "host", why)

    def check_session(self, request: Request) -> None:
        """Check a request for a session.

        Raises:
            RefusedError: its client may not have a session, or not one of this kind.
        """
        self.check_origin(request)
        self.check_token(request, ephemeral=True)
        if "call_id" in request.query:
            why = "Not offered here: a socket beside a call."
            raise RefusedError(HTTPStatus.NOT_IMPLEMENTED, "not_offered", why)
        match request.query.get("intent", "conversation"):
            case "conversation":
                pass
            case "transcription" if self._transcribes:
                pass
            case "transcription":
                why = "This preset has nothing to read speech with."
                raise RefusedError(HTTPStatus.NOT_IMPLEMENTED, "not_offered", why)
            case _:
                why = "Not offered here: `intent` may be conversation or transcription."
                raise RefusedError(HTTPStatus.NOT_IMPLEMENTED, "not_offered", why)

    def check_origin(self, request: Request) -> None:
        """Check the origin of a request for a session.

        Raises:
            RefusedError: a browser sent it for a page of another origin.
        """
        origin = request.one("origin")
        if origin is None or origin in self._config.origins:
            return
        came, ours = _parsed(origin), _parsed(f"{self._scheme}://{request.one('host')}")
        if came is None or ours is None or _place(came) != _place(ours):
            why = "This web origin may not connect; see server.origins."
            raise RefusedError(HTTPStatus.FORBIDDEN, "origin", why)

    def shared(self, request: Request) -> tuple[tuple[str, str], ...]:
        """Headers that let a page of another origin read the answer, if it is one of
        `server.origins`."""
        origin = request.one("origin")
        if origin is None or origin not in self._config.origins:
            return ()
        return ("Access-Control-Allow-Origin", origin), ("Vary", "Origin")

    def check_token(self, request: Request, *, ephemeral: bool = False) -> None:
        """Check the token of a request, if the server has a token.

        Args:
            request: the request.
            ephemeral: an ephemeral token is enough.

        Raises:
            RefusedError: the token is missing or wrong.
        """
        if self._config.token is None:
            return
        # a list: all of them are compared. What is no ASCII came as surrogates
        token = self._config.token.get_secret_value().encode()
        if any([hmac.compare_digest(_octets(key), token) for key in _keys(request)]):
            return
        if not ephemeral or self.settings(request) is None:
            why = "A token is needed: send it as your API key."
            raise RefusedError(HTTPStatus.UNAUTHORIZED, "token", why)

    def settings(self, request: Request) -> dict[str, Any] | None:
        """The settings of a session that the ephemeral token of a request brings; None: it has no
        such token."""
        found = (self._ephemeral.settings(key) for key in _keys(request))
        return next((settings for settings in found if settings is not None), None)

    def _is_ours(self, name: str) -> bool:
        """Whether a host name is the server's. Addresses in digits are: nobody can point them
        elsewhere."""
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self._names or name.endswith(".localhost")
        return True


def _parsed(address: str) -> SplitResult | None:
    """The parts of an address; None if it cannot be parsed."""
    try:
        parts = urlsplit(address)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return None
    return parts


def _place(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or DEFAULT_PORTS.get(parts.scheme)


def _keys(request: Request) -> list[str]:
    """The API keys of a request."""
    keys = []
    scheme, _, key = (request.one("authorization") or "").partition(" ")
    if scheme.lower() == "bearer":  # RFC 9110, section 11.1: in any case
        keys.append(key.strip())
    for protocol in ",".join(request.all("sec-websocket-protocol")).split(","):
        if protocol.strip().startswith(KEY_PROTOCOL):
            keys.append(protocol.strip().removeprefix(KEY_PROTOCOL))
    return keys


def _octets(header: str) -> bytes:
    """The bytes of a header as they came."""
    return header.encode("utf-8", "surrogateescape")
