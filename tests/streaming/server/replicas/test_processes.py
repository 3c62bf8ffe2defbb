"""Replicas as processes: what reaches them, and what does not."""

import os
import signal
from typing import cast

import pytest

from assistant.config import ModelConfig
from streaming.server.replicas.processes import processes

pytestmark = pytest.mark.skipif(os.name != "posix", reason="replicas need a Unix socket")

NO_PRESET = cast(ModelConfig, None)


def test_what_ends_the_server_does_not_end_a_replica_that_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blocked: list[set[int]] = []

    class NoProcess:
        exitcode = 0

        def __init__(self, **_: object) -> None: ...

        def start(self) -> None:
            blocked.append(set(signal.pthread_sigmask(signal.SIG_BLOCK, [])))

        def join(self) -> None: ...

        def kill(self) -> None: ...

    monkeypatch.setattr("multiprocessing.context.SpawnContext.Process", NoProcess)
    with processes(1, NO_PRESET):
        pass
    endings = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    assert blocked
    assert all(endings <= found for found in blocked)
    assert not endings & signal.pthread_sigmask(signal.SIG_BLOCK, [])
