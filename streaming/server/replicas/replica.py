"""A process that has sessions of a server: it loads the model, and says that it is there."""

import contextlib
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Any

from assistant.config import ModelConfig
from assistant.errors import AssistantError
from assistant.model import Salmonn, load
from streaming.dialogue.work import Stepped
from streaming.server.log import where
from streaming.server.replicas.kept import Kept
from streaming.server.replicas.link import HEAD, packed, unpacked
from streaming.server.replicas.remade import Remade
from streaming.server.worker import Done, Worker


@contextlib.contextmanager
def meeting() -> Iterator[tuple[Path, socket.socket]]:
    """A socket to which the replicas of this user's server can connect, and its path."""
    with tempfile.TemporaryDirectory(prefix="salmonn-live-") as folder:  # ours alone
        path = Path(folder) / "replicas"
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
            listening.listen()
            yield path, listening


def serve_replica(path: Path, number: int, config: ModelConfig) -> None:
    """Have sessions of the server at a socket until it is gone.

    Args:
        path: of its socket.
        number: of this replica.
        config: the preset.

    Raises:
        SystemExit: a part of the model is missing or does not fit; the message says which.
    """
    try:
        have_sessions(path, number, config)
    except AssistantError as error:
        sys.exit(f"replica {number}: {error}")


def have_sessions(path: Path, number: int, config: ModelConfig) -> None:
    """See `serve_replica`.

    Raises:
        AssistantError: a part of the model is missing or does not fit.
    """
    model = load(config)
    with socket.socket(socket.AF_UNIX) as link:
        try:
            link.connect(str(path))
        except (ConnectionError, FileNotFoundError):
            return  # the server is gone
        Replica(link, number, model).run()


class Replica:
    """The sessions of one process."""

    def __init__(self, link: socket.socket, number: int, model: Salmonn) -> None:
        self._link, self._number, self._model = link, number, model
        self._from_server = link.makefile("rb")
        self._remade: dict[Hashable, Remade] = {}  # those that are behind
        self._sending = threading.Lock()
        self._worker = Worker(sys.maxsize, self._tell)  # the server counts

    def run(self) -> None:
        """Do what the server says, until it is gone."""
        with contextlib.suppress(OSError):  # it is gone
            while len(head := self._from_server.read(HEAD.size)) == HEAD.size:
                (length,) = HEAD.unpack(head)
                if len(data := self._from_server.read(length)) < length:
                    return
                self._follow(*unpacked(data, self._model))

    def _follow(self, what: str, *about: Any) -> None:
        match what, *about:
            case "begin", make:
                make()  # so that no session waits for what all of them need
                self._send("here", self._number, os.getpid())
            case ("alive",):
                self._send("alive")
            case "add", name, make, kept:
                self._worker.add(name, lambda: self._made(name, make, kept))
            case "give", name, pieces:
                self._worker.give(name, pieces)
            case "remove", name:
                self._worker.remove(name, lambda: self._forget(name))

    def _made(self, name: Hashable, make: Callable[[], Stepped], kept: Kept | None) -> Stepped:
        if kept is None:
            return make()
        remade = self._remade[name] = Remade(make(), kept)
        return remade

    def _forget(self, name: Hashable) -> None:
        self._remade.pop(name, None)

    def _tell(self, name: Hashable, what: Done | Exception) -> None:
        """Called on the worker's thread."""
        if isinstance(what, Exception):
            self._forget(name)
            told = str(what) if isinstance(what, AssistantError) else None
            self._send("failed", name, told, where(what))
            return
        if (remade := self._remade.get(name)) is not None:
            if remade.is_behind:
                return
            self._remade.pop(name, None)
            self._send("remade", name)
        self._send("done", name, what)

    def _send(self, *message: object) -> None:
        with contextlib.suppress(OSError), self._sending:  # the server is gone: `run` will see it
            self._link.sendall(packed(*message))
