"""Tokens that last for minutes: a page gets one from its own server, and never sees the real
one."""

import hashlib
import secrets
from collections.abc import Callable
from time import time
from typing import Any

PREFIX = "ek_"
"""OpenAI's, which its browser client insists on."""

MOST = 256
"""Most tokens at once; the oldest goes for one more."""


class Ephemeral:
    """The tokens of one server. Each brings the settings of the sessions that it opens."""

    def __init__(self, clock: Callable[[], float] = time) -> None:
        """`clock`: returns seconds since 1970."""
        self._clock = clock
        self._tokens: dict[bytes, tuple[int, dict[str, Any]]] = {}  # by their digests

    def issue(self, seconds: int, settings: dict[str, Any]) -> tuple[str, int]:
        """A new token.

        Args:
            seconds: how long it opens sessions.
            settings: of those sessions, as `session.update` has them.

        Returns:
            The token, and its end in seconds since 1970.
        """
        now = self._clock()
        self._tokens = {key: kept for key, kept in self._tokens.items() if kept[0] > now}
        while len(self._tokens) >= MOST:
            del self._tokens[next(iter(self._tokens))]
        token, ends = PREFIX + secrets.token_urlsafe(32), int(now) + seconds
        self._tokens[_digest(token)] = ends, settings
        return token, ends

    def settings(self, key: str) -> dict[str, Any] | None:
        """The settings that a token brings; None: there is no such token, or not any more."""
        ends, settings = self._tokens.get(_digest(key), (0, {}))
        return settings if ends > self._clock() else None


def _digest(key: str) -> bytes:
    """What a token is known by: how long looking it up takes says nothing about it."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
