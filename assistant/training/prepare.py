"""Making what training reads: recordings with manifests, then encoder features."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt
from rich.progress import track

from assistant.config import ModelConfig, Section
from assistant.errors import ConfigError
from assistant.presets import read_yaml, validate
from assistant.training import manifest, synth
from assistant.training.features import extract


class Corpus(Section):
    """One feature store to be made."""

    name: str
    """Folder under `runs/data` and `runs/features`."""

    kind: Literal["synthetic", "nobody", "speechocean"]
    """synthetic: texts read by synthetic voices. nobody: recordings without speech.
    speechocean: a split of speechocean762."""

    voices: Literal["train", "unseen"] = "train"
    """synthetic: which voices read."""

    texts: Literal["train", "held-out"] = "train"
    """synthetic: which texts they read."""

    split: Literal["train", "dev"] = "train"
    """speechocean: which speakers."""

    count: PositiveInt = 1
    """synthetic, nobody: recordings."""

    seed: int = Field(default=0, ge=0)


class DataConfig(Section):
    """All corpora of a training."""

    preset: str
    corpora: list[Corpus]


def load_data_config(path: Path) -> DataConfig:
    """Read the YAML file.

    Raises:
        ConfigError: naming the key that is wrong.
    """
    return validate(DataConfig, read_yaml(path), path.name)


def prepare(config: DataConfig, model: ModelConfig, data: Path, runs: Path, workers: int) -> None:
    """Make every corpus that is not there yet; features go on where they stopped.

    Args:
        config: what to make.
        model: the preset whose encoders hear.
        data: folder with `text/` and `speech/` of the training material.
        runs: receives `data/NAME` and `features/NAME`.
        workers: processes.

    Raises:
        ConfigError: the preset's encoders are not block-causal, or there is no `data`.
    """
    if model.encoding.mode != "cached":
        raise ConfigError(f"preset {config.preset}: training needs encoding.mode cached")
    if not data.is_dir():
        raise ConfigError(f"--data: {data}: no such folder")
    for corpus in config.corpora:
        folder = runs / "data" / corpus.name
        source = folder / "manifest.jsonl"
        if not source.exists():
            _MAKERS[corpus.kind](corpus, data, folder, workers)
        total = len(manifest.read(source))
        steps = extract(model, source, runs / "features" / corpus.name, workers)
        _show(steps, f"hearing {corpus.name}", total)


def _synthetic(corpus: Corpus, data: Path, folder: Path, workers: int) -> None:
    train, held_out = synth.split_texts(synth.read_texts(data / "text"))
    texts = train if corpus.texts == "train" else held_out
    voices = synth.TRAIN_VOICES if corpus.voices == "train" else synth.UNSEEN_VOICES
    steps = synth.build(texts, voices, corpus.count, folder, corpus.seed, workers)
    _show(steps, f"reading {corpus.name}", corpus.count)


def _nobody(corpus: Corpus, data: Path, folder: Path, workers: int) -> None:
    synth.build_nobody(corpus.count, folder, corpus.seed)


def _speechocean(corpus: Corpus, data: Path, folder: Path, workers: int) -> None:
    rows = manifest.from_speechocean(data / "speech" / "speechocean762", corpus.split)
    manifest.write(folder / "manifest.jsonl", rows)


_MAKERS: dict[str, Callable[[Corpus, Path, Path, int], None]] = {
    "synthetic": _synthetic,
    "nobody": _nobody,
    "speechocean": _speechocean,
}


def _show(steps: Iterator[int], label: str, total: int) -> None:
    for _ in track(steps, label, total):
        pass
