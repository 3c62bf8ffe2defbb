"""Transcripts for recordings that have none: Whisper's own, where it is sure of them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
import whisper

from assistant.encoders.whisper import WhisperWeights
from assistant.numerics.half import fast_half
from assistant.sound.recording import load
from assistant.sound.spectra import clip_mel
from lab.manifest import Row
from lab.score import plain

FLOOR = -0.45
"""Least mean log probability of a token that is believed."""

BEAMS = 5


def pseudo_label(weights: WhisperWeights, rows: list[Row]) -> Iterator[Row]:
    """`rows` with what Whisper's decoder reads from them; those it is unsure of are left out.

    Args:
        weights: with the decoder's.
        rows: audio paths absolute, each at most 30 s long.
    """
    model = whisper.Whisper(weights.dims).eval()
    model.load_state_dict({k: v.float() for k, v in weights.state.items()}, strict=False)
    options = whisper.DecodingOptions(
        language="en", beam_size=BEAMS, without_timestamps=True, fp16=False
    )
    for row in rows:
        mel = clip_mel(torch.from_numpy(load(Path(row.audio))), weights.dims.n_mels)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=fast_half()):
            encoded = model.encoder(mel[None])
        (found,) = whisper.decode(model, encoded.float(), options)
        text = plain(found.text)
        if found.avg_logprob > FLOOR and text and not any(c.isdigit() for c in text):
            yield replace(row, answer=text, text=text)
