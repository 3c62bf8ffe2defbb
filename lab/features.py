"""Encoder features of a manifest, computed once: training's frozen part.

A store is a folder with `features.f16` (all features end to end, fp16), `lengths.npy`, the
`manifest.jsonl` they belong to, and `store.json`, which says what they were made with. Rows of the
same stretch share its features, and a store may hold rows alone, or rows and transcripts, about the
stretches of another one. Extraction resumes where it stopped, and refuses to go on with other
settings.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from assistant.config import ModelConfig
from assistant.ear.ear import Ear
from assistant.ear.tagger import pool_windows
from assistant.encoders.blocks import pad_right
from assistant.errors import ConfigError
from assistant.files.weights import sha256
from assistant.numerics.half import fast_half
from assistant.parts.build import build_ear
from assistant.rates import MARGIN, PATCH_SAMPLES
from assistant.sound.recording import load
from assistant.sound.spectra import FBANK_BINS, fbank
from lab import manifest
from lab.manifest import Row

STORE = "store.json"
TRANSCRIPTS = "transcripts.json"

Kind = Literal["encoders", "windows", "fbank"]
"""encoders: the encoders' features. windows: mean and maximum of each window's hidden layers of the
speech encoder, as a `WindowTagger` pools them. fbank: BEATs' filter banks."""

_ear: Ear | None = None


def _start(config: ModelConfig) -> None:
    global _ear  # one per worker process
    torch.set_num_threads(1)
    _ear = build_ear(config)


def _extract(job: tuple[Path, Row]) -> NDArray[np.float16]:
    folder, row = job
    assert _ear is not None
    end = None if row.length is None else row.offset + row.length
    samples = load(folder / row.audio)[row.offset : end]
    # bf16 is 2.6 times faster where the CPU has it (and 8 times slower where not), and moves
    # features by less than noise does (cosine 0.9995); they are stored in fp16 anyway.
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=fast_half()):
        speech, audio = _ear.encode_blocks(torch.from_numpy(samples))
    parts = [speech] if audio is None else [speech, audio]
    return torch.cat(parts, 1).half().numpy()


def _pooled(job: tuple[Path, Row]) -> NDArray[np.float16]:
    assert _ear is not None
    encoder, window = _ear.speech_encoder, _ear.aligner.config.window_features
    hidden = torch.from_numpy(_extract(job)).float()[:, encoder.own_width : encoder.width]
    return pool_windows(hidden, window).half().numpy()


def _filter_bank(job: tuple[Path, Row]) -> NDArray[np.float16]:
    folder, row = job
    end = None if row.length is None else row.offset + row.length
    samples = load(folder / row.audio)[row.offset : end]
    n = -(-len(samples) // PATCH_SAMPLES) * PATCH_SAMPLES  # whole patch columns
    padded = pad_right(torch.from_numpy(samples), n + MARGIN)
    return fbank(padded).half().numpy()


def extract(
    config: ModelConfig, source: Path, store: Path, workers: int, kind: Kind = "encoders"
) -> Iterator[int]:
    """Compute the features of manifest `source` into folder `store`, yielding stretches done.

    Args:
        config: the preset whose encoders hear.
        source: a manifest.
        store: folder to be filled.
        workers: processes.
        kind: of features.

    Raises:
        ConfigError: the store was begun with other settings or another manifest.
    """
    stretches, _ = unique(manifest.read(source))
    store.mkdir(parents=True, exist_ok=True)
    width = _width(config, kind)
    _claim(store / STORE, config, source, width)
    (store / "manifest.jsonl").write_text(source.read_text())
    index, data = store / "lengths.npy", store / "features.f16"
    lengths = list(np.load(index)) if index.exists() else []
    if data.exists():  # drop what was written after the last index
        with data.open("r+b") as stream:
            stream.truncate(sum(lengths) * width * 2)
    jobs = [(source.parent, row) for row in stretches[len(lengths) :]]
    with (
        data.open("ab") as stream,
        _pool(config, workers, kind) as pool,
    ):
        for features in pool.map(_WORK[kind], jobs, chunksize=8):
            stream.write(features.tobytes())
            lengths.append(len(features))
            if len(lengths) % 500 == 0 or len(lengths) == len(stretches):
                stream.flush()
                fresh = index.with_name("new.npy")
                np.save(fresh, np.array(lengths))
                fresh.rename(index)
            yield len(lengths)


_WORK: dict[Kind, Callable[[tuple[Path, Row]], NDArray[np.float16]]] = {
    "encoders": _extract,
    "windows": _pooled,
    "fbank": _filter_bank,
}


def _pool(config: ModelConfig, workers: int, kind: Kind) -> ProcessPoolExecutor:
    if kind == "fbank":
        return ProcessPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
    return ProcessPoolExecutor(workers, initializer=_start, initargs=(config,))


def _width(config: ModelConfig, kind: Kind) -> int:
    if kind == "fbank":
        return FBANK_BINS
    ear = build_ear(config)
    if kind == "windows":
        hidden: int = ear.speech_encoder.width - ear.speech_encoder.own_width
        return 2 * hidden
    width: int = ear.feature_width
    return width


def _claim(path: Path, config: ModelConfig, source: Path, width: int) -> None:
    heard_with = {"speech_encoder", "audio_encoder", "encoding"}
    made = {
        "width": width,
        "manifest_sha256": sha256(source),
        "window_features": config.aligner.window_features,
        # `extract` has its own number format
        **config.model_dump(include=heard_with, exclude={"encoding": {"dtype"}}),
    }
    if path.exists() and json.loads(path.read_text()) != made:
        raise ConfigError(f"{path.parent}: made with other settings; delete it to make it anew")
    path.write_text(json.dumps(made, indent=2) + "\n")


def refer(source: Path, store: Path, base: str) -> None:
    """Make `store` one of rows alone, those of manifest `source`; store `base`, a folder beside it,
    has the features, or refers to one that has."""
    store.mkdir(parents=True, exist_ok=True)
    (store / "manifest.jsonl").write_text(source.read_text())
    (store / STORE).write_text(json.dumps({"of": base}) + "\n")


Stretch = tuple[str, int, int | None]


def _stretch(row: Row) -> Stretch:
    return row.audio, row.offset, row.length


def unique(rows: list[Row]) -> tuple[list[Row], list[int]]:
    """One row of every stretch, in order, and for each of `rows` which of these it is."""
    place: dict[Stretch, int] = {}
    firsts: list[Row] = []
    places: list[int] = []
    for row in rows:
        stretch = _stretch(row)
        if stretch not in place:
            place[stretch] = len(firsts)
            firsts.append(row)
        places.append(place[stretch])
    return firsts, places


def _referred(folder: Path) -> list[Path]:
    """A store and those that it refers to, the one with features last."""
    base = json.loads((folder / STORE).read_text()).get("of")
    return [folder] if base is None else [folder, *_referred(folder.parent / base)]


class FeatureStore:
    """Features and rows of one store, read from disk on demand."""

    def __init__(self, folder: Path) -> None:
        """Raises:
        KeyError: a row is about a stretch that the store referred to does not have.
        """
        rows = manifest.read(folder / "manifest.jsonl")
        folders = _referred(folder)
        folder = folders[-1]
        firsts, _ = unique(manifest.read(folder / "manifest.jsonl"))
        place = {_stretch(row): i for i, row in enumerate(firsts)}
        lengths = np.load(folder / "lengths.npy")
        places = [place[_stretch(row)] for row in rows]
        read = next((f / TRANSCRIPTS for f in folders if (f / TRANSCRIPTS).exists()), None)
        heard = [""] * len(firsts) if read is None else json.loads(read.read_text())
        self.rows = [
            replace(row, heard=heard[i])
            for row, i in zip(rows, places, strict=True)
            if i < len(lengths)
        ]
        self._places = [i for i in places if i < len(lengths)]
        self._ends = np.cumsum(lengths)
        flat = np.memmap(folder / "features.f16", np.float16, mode="r")
        width = json.loads((folder / STORE).read_text())["width"]
        self._flat = flat[: int(self._ends[-1]) * width].reshape(-1, width)

    @property
    def stretches(self) -> int:
        """Stretches of recordings, whose features several rows may share."""
        return len(self._ends)

    def stretch(self, place: int) -> torch.Tensor:
        """Features of a stretch, shape (n, width), fp32."""
        start = int(self._ends[place - 1]) if place else 0
        return torch.from_numpy(self._flat[start : int(self._ends[place])].astype(np.float32))

    def stretch_length(self, place: int) -> int:
        """Features of a stretch."""
        return int(self._ends[place]) - (int(self._ends[place - 1]) if place else 0)

    def __len__(self) -> int:
        return len(self.rows)

    def features(self, index: int) -> torch.Tensor:
        """Shape (n, width), fp32."""
        return self.stretch(self._places[index])

    def length(self, index: int) -> int:
        """Features of one row."""
        return self.stretch_length(self._places[index])
