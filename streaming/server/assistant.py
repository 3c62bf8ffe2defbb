"""The model as the server sees it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from streaming.dialogue.session import Session
from streaming.realtime.protocol import Realtime
from streaming.server.exchange import Work
from streaming.server.places import Places
from streaming.server.worker import NewHost, Worker
from streaming.shell import Calls


@dataclass(frozen=True, slots=True)
class Assistant:
    """The model as the server sees it."""

    name: str
    new_session: Callable[[], Session]
    """Makes a session; called on the worker's thread."""

    new_protocol: Callable[[str, Callable[[str], str], int], Realtime]
    """Makes the protocol of a session from its id, a maker of ids, and the session's end in seconds
    since 1970."""

    new_calls: Callable[[], Calls | None] = lambda: None
    """Makes what runs the functions of a session; None: it has none that run here."""

    new_reader: Callable[[], Session] | None = None
    """Makes a session that writes down what is said, and answers nothing; called on the worker's
    thread. None: there is nothing to read with."""

    host: NewHost = Worker
    """Makes what steps the sessions of all kinds."""

    works: Callable[[Places], Mapping[str, Work]] = lambda _: {}
    """What is done with requests that have a body, by the path of the address."""
