"""Replicas as processes of this machine, which are begun again when they end."""

import contextlib
import multiprocessing
import signal
import socket
import threading
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

from assistant.config import ModelConfig
from streaming.server.log import log
from streaming.server.replicas.replica import meeting, serve_replica

SOON_S = 10.0
"""A process that lived for less than this has ended too soon: the next one has to wait."""

WAIT_S = 2.0
"""How long it has to wait, in seconds."""

ENDINGS = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
"""Signals that would end a replica, and do not: the server ends first, when all is said."""


@contextlib.contextmanager
def processes(count: int, config: ModelConfig) -> Iterator[socket.socket]:
    """So many replicas on this machine.

    Args:
        count: of replicas.
        config: the preset.

    Yields:
        The socket to which they connect when they have loaded the model.
    """
    with meeting() as (path, listening), contextlib.ExitStack() as keepers:
        for number in range(count):
            keepers.callback(_Keeper(number, path, config).stop)
        yield listening


class _Keeper:
    """Keeps one replica running."""

    def __init__(self, number: int, path: Path, config: ModelConfig) -> None:
        self._about = path, number, config
        self._over = threading.Event()
        self._process = self._begun()
        self._thread = threading.Thread(target=self._keep, name="keeper", daemon=True)
        self._thread.start()

    def _begun(self) -> BaseProcess:
        spawn = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
        process = spawn.Process(target=serve_replica, args=self._about, daemon=True)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)  # the process inherits it
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return process

    def _keep(self) -> None:
        while True:
            begun = time.monotonic()
            self._process.join()
            if self._over.is_set():
                return
            _, number, _ = self._about
            log.warning("replica.exits replica=%d code=%s", number, self._process.exitcode)
            if time.monotonic() - begun < SOON_S and self._over.wait(WAIT_S):
                return
            self._process = self._begun()
            if self._over.is_set():  # in the meantime
                self._process.kill()

    def stop(self) -> None:
        """End it."""
        self._over.set()
        self._process.kill()
        self._thread.join()
