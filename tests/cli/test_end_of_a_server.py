"""`serve` ends when it is told to, and drains first."""

import asyncio
import contextlib
import errno
import io
import os
import signal

import pytest
from rich.console import Console

from cli.serve import DRAIN_S, _endings, _run, ending_in_order
from streaming.config import ServerConfig
from streaming.server.app import App
from streaming.server.listen import Listening, listen
from tests.streaming.server.test_app import fake


class Gone(io.StringIO):
    """A terminal that is closed after its second line."""

    def write(self, text: str) -> int:
        if self.getvalue().count("\n") > 1:
            raise OSError(errno.EIO, "Input/output error")
        return super().write(text)


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_server_drains_when_it_is_told_to_go(
    monkeypatch: pytest.MonkeyPatch, which: signal.Signals
) -> None:
    drained: list[float] = []

    async def drain(app: App, seconds: float) -> None:
        drained.append(seconds)

    async def told_to_go(config: ServerConfig, listening: Listening) -> None:
        running = asyncio.create_task(_run(fake(), config, listening, Console(file=Gone())))
        await asyncio.sleep(0.05)
        os.kill(os.getpid(), which)
        await asyncio.wait_for(running, 10)

    monkeypatch.setattr(App, "drain", drain)
    config = ServerConfig(port=0)
    with listen(config) as listening:
        asyncio.run(told_to_go(config, listening))
    assert drained == [DRAIN_S]


def test_who_started_it_with_nohup_keeps_it() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signal.SIGHUP not in _endings()
    finally:
        signal.signal(signal.SIGHUP, before)
    assert signal.SIGHUP in _endings()


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGHUP])
def test_a_server_that_is_told_to_go_while_it_starts_leaves_nothing(which: signal.Signals) -> None:
    before = signal.getsignal(which)
    left: list[object] = []
    with contextlib.suppress(SystemExit), contextlib.ExitStack() as stack:
        stack.callback(lambda: left.append(signal.getsignal(which)))
        stack.enter_context(ending_in_order())
        os.kill(os.getpid(), which)
        left.append("the server")
    assert left == [before]
