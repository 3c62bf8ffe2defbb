"""What Whisper's own decoder reads from stored features, for training with a second ear.

The decoder is openai-whisper's; positions that were not heard hold the features of silence, as in
`assistant.captions`, so what training sees is what a stream will bring.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import whisper
from torch import Tensor

from assistant.training.features import TRANSCRIPTS, FeatureStore
from assistant.whisper import WhisperWeights

BATCH = 16
LONGEST = 224
"""Tokens of a transcript at most: half of the decoder's context."""


def transcribe(weights: WhisperWeights, silence: Tensor, folder: Path, most: int) -> Iterator[int]:
    """Write greedy transcripts of stretches of a store, yielding how many are done.

    Args:
        weights: with the decoder's.
        silence: features of silence at every position, shape (1500, own width).
        folder: of the store; `transcripts.json` is written when all are done.
        most: stretches read at most, at random; the others have no transcript.
    """
    store = FeatureStore(folder)
    model = whisper.Whisper(weights.dims).eval()
    model.load_state_dict({k: v.float() for k, v in weights.state.items()}, strict=False)
    options = whisper.DecodingOptions(
        language="en", without_timestamps=True, fp16=False, sample_len=LONGEST
    )
    chosen = np.random.default_rng(0).permutation(store.stretches)[:most].tolist()
    order = sorted(chosen, key=store.stretch_length)
    texts = [""] * store.stretches
    for start in range(0, len(order), BATCH):
        places = order[start : start + BATCH]
        heard = torch.stack([_placed(store.stretch(place), silence) for place in places])
        with torch.autocast("cpu", torch.bfloat16):
            results = whisper.decode(model, heard, options)
        for place, found in zip(places, results, strict=True):
            texts[place] = _believed(found)
        yield start + len(places)
    (folder / TRANSCRIPTS).write_text(json.dumps(texts) + "\n")


def _placed(features: Tensor, silence: Tensor) -> Tensor:
    own = features[: len(silence), : silence.shape[1]]
    return torch.cat([own, silence[len(own) :]])


def _believed(found: whisper.DecodingResult) -> str:
    """Its text, unless Whisper's own rule says that nobody speaks."""
    unsure = found.avg_logprob < -1.0 and found.no_speech_prob > 0.6
    looped = found.compression_ratio > 2.4
    return "" if unsure or looped else str(found.text).strip()
