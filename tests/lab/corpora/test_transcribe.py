"""A second ear in training: Whisper's decoder reads the stored features."""

import json
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch

from assistant.captions.decoder import CaptionDecoder
from assistant.config import ModelConfig
from assistant.parts.build import build_aligner, build_captions, build_ear, build_llm
from assistant.parts.tiny import TOY_WIDTH
from assistant.prompt.prompt import Prompt
from lab import manifest
from lab.corpora import transcribe
from lab.features import STORE, TRANSCRIPTS, FeatureStore
from lab.manifest import Row
from lab.training.read import ReadStage


@pytest.fixture
def store(tmp_path: Path) -> Path:
    rows = [Row("a.wav", "x"), Row("b.wav", "y"), Row("b.wav", "z", task="listen")]
    manifest.write(tmp_path / "manifest.jsonl", rows)
    np.save(tmp_path / "lengths.npy", np.array([40, 16]))
    rng = np.random.default_rng(0)
    rng.standard_normal((56, TOY_WIDTH + 3)).astype(np.float16).tofile(tmp_path / "features.f16")
    (tmp_path / STORE).write_text('{"width": 35}')
    return tmp_path


def test_some_are_read_and_the_others_have_no_transcript(
    store: Path, tiny_config: ModelConfig
) -> None:
    assert FeatureStore(store).rows[0].heard == ""
    assert list(transcribe.transcribe(tiny_config, store, most=1, workers=1)) == [1]
    texts = json.loads((store / TRANSCRIPTS).read_text())
    assert [type(text) for text in texts] == [str, str]
    (store / TRANSCRIPTS).write_text(json.dumps(["first", "second"]))
    assert [row.heard for row in FeatureStore(store).rows] == ["first", "second", "second"]


def test_a_stretch_is_read_as_captions_read_it(store: Path, tiny_config: ModelConfig) -> None:
    decoder = build_captions(tiny_config, build_ear(tiny_config))
    features = FeatureStore(store).stretch(0)
    slots = decoder.start()
    decoder.hear(slots, features[:, :TOY_WIDTH], 0)
    found = decoder.read(slots, seconds=0.8)
    sure = replace(found, no_speech=0.0)
    with patch.object(CaptionDecoder, "read", return_value=sure) as asked:
        assert transcribe.read(decoder, features) == decoder.text(found.tokens).strip() != ""
    assert asked.call_args.args[1] == 0.8
    unsure = replace(found, no_speech=1.0, log_probability=-9.0)
    with patch.object(CaptionDecoder, "read", return_value=unsure):
        assert transcribe.read(decoder, features) == ""


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
