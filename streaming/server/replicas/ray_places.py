"""Replicas that Ray places, and begins again when they end."""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from assistant.config import ModelConfig
from streaming.server.replicas.replica import have_sessions, meeting

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # before it is imported: it tells nobody
import ray

STORE_BYTES = 80 * 2**20
"""For Ray's object store, which nothing is put into; the least that it takes."""


class _Place:
    """An actor with a replica in it, which ends when that does."""

    def __init__(self, path: Path, number: int, config: ModelConfig) -> None:
        self._about = path, number, config
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            have_sessions(*self._about)
        finally:
            os._exit(1)  # Ray begins it again


@contextlib.contextmanager
def ray_places(count: int, config: ModelConfig) -> Iterator[socket.socket]:
    """So many replicas as actors of a Ray that runs on this machine.

    Args:
        count: of replicas.
        config: the preset.

    Yields:
        The socket to which they connect when they have loaded the model.
    """
    with meeting() as (path, listening):
        ray.init(
            "local",
            num_cpus=count,
            object_store_memory=STORE_BYTES,
            include_dashboard=False,
            logging_level="WARNING",
        )
        try:
            actor = ray.remote(num_cpus=1, max_restarts=-1)(_Place)
            actors = [actor.remote(path, number, config) for number in range(count)]
            yield listening
            del actors
        finally:
            ray.shutdown()
