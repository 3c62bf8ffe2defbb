"""Silero against its own TorchScript model, and what it takes for speech."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from assistant.errors import ComponentError
from assistant.sound import recording
from streaming.audio.frames import Frame
from streaming.audio.wire_audio import InputDecoder, InputFormat
from streaming.config import EndpointingConfig
from streaming.detectors import silero
from streaming.detectors.choose import choose_endpointer
from streaming.detectors.silero import CONTEXT, RESTS_AFTER, WINDOW, SileroDetector
from tests.laws import run

DEMO = Path(__file__).parents[3] / "demo" / "kitchen.flac"


def frames(samples: np.ndarray) -> list[Frame]:
    return run(InputDecoder(InputFormat()), [recording.to_pcm16(samples)])


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@torch.inference_mode()
def test_probabilities_are_those_of_the_torchscript_model() -> None:
    samples = recording.load(DEMO)[: 3 * 16_000]
    detector = SileroDetector(0.5)
    ours = []
    for i, frame in enumerate(frames(samples)):
        detector(frame)
        if (i + 1) * 320 // WINDOW > i * 320 // WINDOW:
            ours.append(detector.probability)
    spec = importlib.util.find_spec("silero_vad")
    assert spec is not None and spec.submodule_search_locations  # noqa: PT018
    model = torch.jit.load(f"{spec.submodule_search_locations[0]}/data/silero_vad.jit")
    pcm = torch.from_numpy(np.frombuffer(recording.to_pcm16(samples), "<i2") / 32768.0).float()
    theirs = [float(model(window, 16_000)) for window in pcm.split(WINDOW) if len(window) == WINDOW]
    assert len(ours) == len(theirs)
    assert np.abs(np.array(ours) - np.array(theirs)).max() < 1e-3
    assert max(theirs) > 0.9


def test_speech_is_found_and_noise_is_not() -> None:
    config = EndpointingConfig(detector="silero")
    endpointer = choose_endpointer(config)
    assert endpointer is not None
    changes = run(endpointer, frames(recording.load(DEMO)))
    assert len(changes) == 9  # three utterances: started, paused, ended
    noise = np.random.default_rng(0).standard_normal(5 * 16_000).astype(np.float32) * 0.1
    assert run(endpointer, frames(noise)) == []


def test_after_digital_silence_it_is_as_at_the_start() -> None:
    speech = recording.load(DEMO)[: 18 * 5 * WINDOW]  # whole windows and whole frames
    fresh, rested = SileroDetector(0.5), SileroDetector(0.5)
    for frame in frames(speech):
        rested(frame)
    for i, frame in enumerate(frames(np.zeros(20 * WINDOW, np.float32)), 1):
        rested(frame)
        assert np.any(rested._state) == (i * len(frame.pcm) // 2 // WINDOW <= RESTS_AFTER)
    assert rested.probability == 0.0
    for frame in frames(speech):
        assert fresh(frame) == rested(frame)
        assert fresh.probability == rested.probability


def test_the_state_is_the_detectors_own() -> None:
    speech = frames(recording.load(DEMO)[16_000 : 2 * 16_000])
    first, second = SileroDetector(0.5), SileroDetector(0.5)
    for frame in speech:
        first(frame)
    assert second.probability == 0.0
    for frame in speech:
        second(frame)
    assert second.probability == first.probability
    assert CONTEXT + WINDOW == 576


def test_without_its_package_the_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    silero._model.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ComponentError, match=r"endpointing\.detector: silero"):
        SileroDetector(0.5)
