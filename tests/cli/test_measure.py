"""`serve` with `server.measure`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from assistant.errors import ConfigError
from streaming.config import Config, ServerConfig
from streaming.dialogue.session import Session
from streaming.dialogue.work import NEED_DATA
from streaming.events import Event, FellAsleep
from tests.cli.call import Call


def test_the_stream_that_is_measured_needs_no_wake_word(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told: list[Event] = []

    def measured(_: Config, make: Callable[[], Session]) -> ServerConfig:
        session = make()
        session.receive(bytes(32_000))
        while (events := session.step()) is not NEED_DATA:
            assert isinstance(events, list)
            told.extend(events)
        raise ConfigError("that is enough")

    monkeypatch.setattr("streaming.server.capacity.measured", measured)
    config = tmp_path / "config.yaml"
    config.write_text("wake_word: { model: hey_jarvis }\nserver: { measure: true, port: 0 }\n")
    code, _, err = call("serve", "--preset", "tiny", "--config", config)
    assert (code, err) == (1, "salmonn-live: that is enough\n")
    assert not any(isinstance(event, FellAsleep) for event in told)


def test_replicas_begin_when_it_is_measured(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """While they load the model they take the cores."""
    order: list[str] = []

    @contextmanager
    def replicas(*_: object) -> Iterator[None]:
        order.append("replicas")
        raise ConfigError("that is enough")
        yield

    def measured(config: Config, _: object) -> ServerConfig:
        order.append("measured")
        return config.server

    monkeypatch.setattr("streaming.server.capacity.measured", measured)
    monkeypatch.setattr("cli.serve._replicas", replicas)
    config = tmp_path / "config.yaml"
    config.write_text("server: { measure: true, port: 0 }\n")
    call("serve", "--preset", "tiny", "--config", config, "--replicas", "2")
    assert order == ["measured", "replicas"]
