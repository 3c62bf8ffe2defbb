"""Microphones of any rate and number of channels, without a sound card."""

import os
import sys
import types
from typing import Any

import numpy as np
import pytest

from clients import sources
from clients.errors import ClientError
from tests.clients.test_terminal import Json
from tests.streaming.server.test_app import run


class FakePortAudio(types.ModuleType):
    """A microphone that has one rate and one number of channels; the last one is the loudest."""

    class PortAudioError(Exception):
        """Of PortAudio."""

    def __init__(self, rate: int, channels: int) -> None:
        self.rate, self.channels = rate, channels

    def check_input_settings(self, samplerate: int, channels: int, **_: Any) -> None:
        if samplerate != self.rate:
            raise self.PortAudioError("Invalid sample rate [PaErrorCode -9997]")
        if channels != self.channels:
            raise self.PortAudioError("Invalid number of channels [PaErrorCode -9998]")

    def query_devices(self, device: int | None, kind: str) -> Json:
        return {"default_samplerate": float(self.rate), "max_input_channels": self.channels}

    def RawInputStream(
        self, samplerate: int, channels: int, callback: Any, blocksize: int, **more: Any
    ) -> Any:
        self.check_input_settings(samplerate, channels)
        tone = np.sin(2 * np.pi * 500 * np.arange(100 * blocksize) / samplerate)
        shares = np.arange(1, channels + 1) / channels
        played = (16_000 * tone[:, None] * shares).astype("<i2").reshape(100, -1)
        for block in played:
            callback(block.tobytes(), blocksize, None, None)
        return open(os.devnull)


@pytest.mark.parametrize("rate", [16_000, 48_000, 44_100])
@pytest.mark.parametrize(("channels", "level"), [(1, 16_000), (2, 12_000), (4, 10_000)])
def test_a_microphone_of_any_rate_and_channels_is_heard_at_16_khz(
    rate: int, channels: int, level: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", FakePortAudio(rate, channels))

    @run
    async def listen() -> None:
        heard = b""
        async for piece in sources.microphone(None):
            heard += piece
            if len(heard) > 2 * 16_000:
                break
        samples = np.frombuffer(heard, "<i2")[1600:-1600].astype(float)
        crossings = int((np.diff(np.signbit(samples)) != 0).sum())
        assert abs(crossings - 1000 * len(samples) / 16_000) < 3
        assert abs(np.abs(samples).max() - level) < 300

    listen()


def test_a_microphone_that_cannot_be_opened_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(FakePortAudio):
        def check_input_settings(self, samplerate: int, channels: int, **_: Any) -> None:
            raise self.PortAudioError("Device unavailable")

    monkeypatch.setitem(sys.modules, "sounddevice", Broken(48_000, 2))

    @run
    async def listen() -> None:
        with pytest.raises(ClientError, match="the microphone cannot be used: Device unavailable"):
            await anext(sources.microphone(None))

    listen()
