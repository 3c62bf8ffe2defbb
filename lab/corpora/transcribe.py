"""What Whisper's own decoder reads from stored features, for training with a second ear.

It reads as captions are read, so what training sees is what a stream will bring.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch

from assistant.captions.decoder import CaptionDecoder, believable, unlooped
from assistant.config import ModelConfig
from assistant.parts.build import build_captions, build_ear
from assistant.rates import FEATURE_SAMPLES, SAMPLE_RATE
from lab.features import TRANSCRIPTS, FeatureStore

_decoder: CaptionDecoder | None = None
_store: FeatureStore | None = None


def _start(config: ModelConfig, folder: Path) -> None:
    global _decoder, _store  # one per worker process
    torch.set_num_threads(1)
    _decoder = build_captions(config, build_ear(config))
    _store = FeatureStore(folder)


def _read(place: int) -> str:
    assert _decoder is not None
    assert _store is not None
    return read(_decoder, _store.stretch(place))


def transcribe(config: ModelConfig, folder: Path, most: int, workers: int) -> Iterator[int]:
    """Write transcripts of stretches of a store, yielding how many are done.

    Args:
        config: the preset whose Whisper reads.
        folder: of the store; `transcripts.json` is written when all are done.
        most: stretches read at most, at random; the others have no transcript.
        workers: processes.
    """
    stretches = FeatureStore(folder).stretches
    chosen = np.random.default_rng(0).permutation(stretches)[:most].tolist()
    texts = [""] * stretches
    with ProcessPoolExecutor(workers, initializer=_start, initargs=(config, folder)) as pool:
        for done, (place, text) in enumerate(
            zip(chosen, pool.map(_read, chosen, chunksize=8), strict=True), 1
        ):
            texts[place] = text
            yield done
    (folder / TRANSCRIPTS).write_text(json.dumps(texts) + "\n")


@torch.inference_mode()
def read(decoder: CaptionDecoder, features: torch.Tensor) -> str:
    """The transcript of a stretch from its stored features (n, width); empty if nobody speaks."""
    slots = decoder.start()
    decoder.hear(slots, features[:, : decoder.width], 0)
    found = decoder.read(slots, len(features) * FEATURE_SAMPLES / SAMPLE_RATE)
    return decoder.text(unlooped(found.tokens)).strip() if believable(found) else ""
