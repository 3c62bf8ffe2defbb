"""Pseudo-transcripts."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
import whisper

from assistant.parts.tiny import toy_decoder
from lab.corpora import pseudo
from lab.manifest import Row


@pytest.mark.parametrize("half", [True, False])
def test_sure_readings_become_texts_and_bf16_is_for_cpus_that_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, half: bool
) -> None:
    in_bf16 = []

    class Model(torch.nn.Module):
        def __init__(self, dims: object) -> None:
            super().__init__()

        def encoder(self, mel: torch.Tensor) -> torch.Tensor:
            in_bf16.append(torch.is_autocast_enabled("cpu"))
            return mel

    said = iter([("Go on.", -0.1), ("Perhaps.", -0.9), ("At 5.", -0.1)])

    def decode(*_: object) -> list[SimpleNamespace]:
        text, sure = next(said)
        return [SimpleNamespace(text=text, avg_logprob=sure)]

    monkeypatch.setattr(whisper, "Whisper", Model)
    monkeypatch.setattr(whisper, "decode", decode)
    monkeypatch.setattr(pseudo, "fast_half", lambda: half)
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(16_000), 16_000)
    (row,) = pseudo.pseudo_label(toy_decoder(1), [Row(str(path), "")] * 3)
    assert (row.text, row.answer) == ("go on", "go on")
    assert in_bf16 == [half] * 3
