"""The form that all server events have."""

from collections.abc import Callable
from typing import Any

Json = dict[str, Any]


class Shapes:
    """Makes server events, each with an id of its own."""

    def __init__(self, new_id: Callable[[str], str]) -> None:
        """`new_id`: makes an id with a prefix, each another one."""
        self.new_id = new_id

    def event(self, kind: str, **fields: Any) -> Json:
        """An event of type `kind`."""
        return {"type": kind, "event_id": self.new_id("event"), **fields}

    def extension(self, kind: str, **fields: Any) -> Json:
        """An event that only this server has."""
        return self.event(f"salmonn.{kind}", **fields)

    def error(self, code: str, message: str, param: str | None, event_id: str | None) -> Json:
        """An error that a message of the client's brought about; the session goes on."""
        error = {"type": "invalid_request_error", "code": code, "message": message}
        return self.event("error", error={**error, "param": param, "event_id": event_id})

    def server_error(self, code: str, message: str) -> Json:
        """An error that no message of the client's brought about: the session ends."""
        error = {"type": "server_error", "code": code, "message": message}
        return self.event("error", error=error)
