"""A second ear in training: Whisper's decoder reads the stored features."""

from pathlib import Path

import numpy as np
import pytest
import torch
import whisper

from assistant.build import build_aligner, build_ear, build_llm
from assistant.captions import CaptionDecoder
from assistant.config import ModelConfig
from assistant.prompt import Prompt
from assistant.tiny import TOY_WIDTH, toy_decoder
from assistant.training import manifest, transcribe
from assistant.training.features import STORE, TRANSCRIPTS, FeatureStore
from assistant.training.manifest import Row
from assistant.training.read import ReadStage


@pytest.fixture
def store(tmp_path: Path) -> Path:
    rows = [Row("a.wav", "x"), Row("b.wav", "y"), Row("b.wav", "z", task="listen")]
    manifest.write(tmp_path / "manifest.jsonl", rows)
    np.save(tmp_path / "lengths.npy", np.array([40, 16]))
    rng = np.random.default_rng(0)
    rng.standard_normal((56, TOY_WIDTH + 3)).astype(np.float16).tofile(tmp_path / "features.f16")
    (tmp_path / STORE).write_text('{"width": 35}')
    return tmp_path


def test_every_stretch_is_read_as_captions_read_it(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcribe, "LONGEST", 9)
    monkeypatch.setattr(transcribe, "_believed", lambda found: found.text)
    weights = toy_decoder(1)
    silence = torch.randn(1500, TOY_WIDTH, generator=torch.Generator().manual_seed(1)) * 0.1
    assert FeatureStore(store).rows[0].heard == ""
    assert list(transcribe.transcribe(weights, silence, store, most=2)) == [2]
    rows = FeatureStore(store).rows
    assert rows[1].heard == rows[2].heard != ""
    decoder = CaptionDecoder(weights, silence)
    features = FeatureStore(store).features(0)[:, :TOY_WIDTH]
    slots = decoder.start()
    decoder.hear(slots, features, 0)
    text = decoder.text(decoder.read(slots, seconds=0.125).tokens)
    assert rows[0].heard == text.strip()
    assert (store / TRANSCRIPTS).exists()


def test_some_are_read_and_the_others_have_no_transcript(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcribe, "LONGEST", 9)
    monkeypatch.setattr(transcribe, "_believed", lambda found: found.text)
    silence = torch.randn(1500, TOY_WIDTH, generator=torch.Generator().manual_seed(1)) * 0.1
    assert list(transcribe.transcribe(toy_decoder(1), silence, store, most=1)) == [1]
    rows = FeatureStore(store).rows
    assert (rows[0].heard == "") is not (rows[1].heard == "")


@pytest.mark.parametrize(
    ("log_probability", "no_speech", "ratio", "text"),
    [(-0.5, 0.9, 1.0, "hi"), (-1.5, 0.5, 1.0, "hi"), (-1.5, 0.9, 1.0, ""), (-0.1, 0.0, 2.5, "")],
)
def test_text_on_noise_and_loops_are_not_believed(
    log_probability: float, no_speech: float, ratio: float, text: str
) -> None:
    found = whisper.DecodingResult(
        audio_features=torch.zeros(0), language="en", text=" hi ", tokens=[],
        avg_logprob=log_probability, no_speech_prob=no_speech, compression_ratio=ratio,
    )  # fmt: skip
    assert transcribe._believed(found) == text


def test_a_row_is_given_as_text_with_a_transcript_or_as_it_is(tiny_config: ModelConfig) -> None:
    llm = build_llm(tiny_config, train=True)
    ear = build_ear(tiny_config, llm.width)
    aligner = build_aligner(tiny_config, ear, llm.width)
    stage = ReadStage(aligner, llm, Prompt(tiny_config.prompt), 0.2, 0.5)
    tokens = torch.randn(4, llm.width)
    row = Row("a.wav", "on", text="on", heard="Own.")
    as_text = stage._given(tokens, row, 0.1, 0.9)
    assert torch.equal(as_text, llm.embed(llm.ids("on")))
    both = stage._given(tokens, row, 0.3, 0.4)
    assert torch.equal(both, torch.cat([tokens, llm.embed(llm.ids("\nOwn."))]))
    assert stage._given(tokens, row, 0.3, 0.6) is tokens
    assert stage._given(tokens, Row("a.wav", "?"), 0.0, 0.0) is tokens
