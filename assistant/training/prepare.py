"""Making what training reads: recordings with manifests, then encoder features."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt
from rich.progress import track

from assistant import components
from assistant.config import ModelConfig, Section
from assistant.errors import ConfigError
from assistant.presets import read_yaml, validate
from assistant.training import manifest, questions, scenes, synth, texts
from assistant.training.features import extract, unique
from assistant.training.mixtures import MixtureMaker
from assistant.training.pseudo import pseudo_label
from assistant.training.recordings import Maker, write_corpus


class Corpus(Section):
    """One feature store to be made."""

    name: str
    """Folder under `runs/data` and `runs/features`."""

    kind: Literal[
        "synthetic",
        "nobody",
        "speechocean",
        "librispeech",
        "keywords",
        "sounds",
        "rough",
        "joined",
        "mixtures",
    ]
    """synthetic: texts read by synthetic voices. nobody: recordings without speech.
    speechocean: a split of speechocean762. librispeech: with pseudo-transcripts. keywords: short
    phrases. sounds: excerpts of `data/sound`. rough: another corpus in rooms and noise.
    joined: utterances of other corpora end to end. mixtures: sounds and speech together."""

    of: list[str] = Field(default=[])
    """rough, joined: the corpora taken from, made before."""

    voices: Literal["train", "unseen"] = "train"
    """synthetic: which voices read."""

    texts: Literal["assistant", "general", "questions"] = "assistant"
    """synthetic: what they read. assistant: queries and home commands. general: WordNet's examples
    and fortunes. questions: what has a known answer."""

    noisy: bool = False
    """synthetic: in rooms and noise instead of a quiet place."""

    split: Literal["train", "dev"] = "train"
    """synthetic: which texts; speechocean: which speakers; sounds: which source recordings, those
    of dev as they are."""

    count: PositiveInt = 1
    """Recordings to be made."""

    seed: int = Field(default=0, ge=0)


class DataConfig(Section):
    """All corpora of a training."""

    preset: str
    features: Literal["encoders", "fbank"] = "encoders"
    """What training reads: the encoders' features, or BEATs' filter banks."""

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
    encoded = config.features == "encoders"
    folder = runs / ("features" if encoded else "fbank")
    if encoded and model.encoding.mode != "cached":
        raise ConfigError(f"preset {config.preset}: training needs encoding.mode cached")
    for corpus in config.corpora:
        source = make(corpus, data, runs / "data", workers)
        total = len(unique(manifest.read(source))[0])
        steps = extract(model, source, folder / corpus.name, workers, encoded)
        _show(steps, f"hearing {corpus.name}", total)


def make(corpus: Corpus, data: Path, folder: Path, workers: int) -> Path:
    """Make a corpus' recordings in `folder/NAME` if they are not there yet.

    Returns:
        Its manifest.

    Raises:
        ConfigError: there is no `data`.
    """
    if not data.is_dir():
        raise ConfigError(f"--data: {data}: no such folder")
    source = folder / corpus.name / "manifest.jsonl"
    if not source.exists():
        _MAKERS[corpus.kind](corpus, data, source.parent, workers)
    return source


def _synthetic(corpus: Corpus, data: Path, folder: Path, workers: int) -> None:
    voices = synth.TRAIN_VOICES if corpus.voices == "train" else synth.UNSEEN_VOICES
    noises = data / "sound" if corpus.noisy else None
    script = synth.Script(_lines(corpus, data), voices, corpus.count, corpus.seed, noises)
    _write(script, corpus, folder, workers)


def _lines(corpus: Corpus, data: Path) -> list[synth.Line]:
    if corpus.texts == "questions":
        asked = {a.text: a for a in questions.all_asked()}
        lines = {t: synth.Line(t, a.answer, task="listen", key=a.key) for t, a in asked.items()}
    elif corpus.texts == "general":
        lines = {t: synth.Line(t, t) for t in texts.general_texts()}
    else:
        lines = {t: synth.Line(t, t) for t in texts.assistant_texts(data / "text")}
    train, held_out = texts.split_texts(list(lines))
    return [lines[t] for t in (train if corpus.split == "train" else held_out)]


def _nobody(corpus: Corpus, data: Path, folder: Path, workers: int) -> None:
    _write(synth.Nobody(corpus.seed), corpus, folder, workers)


def _sounds(corpus: Corpus, data: Path, folder: Path, workers: int) -> None:
    if corpus.split == "dev":
        manifest.write(folder / "manifest.jsonl", scenes.held_out_sounds(data / "sound"))
        return
    _write(scenes.SoundMaker(data / "sound", corpus.seed), corpus, folder, workers)


def _rough(corpus: Corpus, data: Path, folder: Path, workers: int) -> None:
    (source,) = _sources(corpus, folder)
    _write(scenes.RoughMaker(source, data / "sound", corpus.seed), corpus, folder, workers)


def _joined(corpus: Corpus, data: Path, folder: Path, workers: int) -> None:
    _write(scenes.JoinMaker(_sources(corpus, folder), corpus.seed), corpus, folder, workers)


def _mixtures(corpus: Corpus, data: Path, folder: Path, workers: int) -> None:
    voices = synth.TRAIN_VOICES if corpus.voices == "train" else synth.UNSEEN_VOICES
    asked = _lines(corpus.model_copy(update={"texts": "questions"}), data)
    said = _lines(corpus.model_copy(update={"texts": "assistant"}), data)
    lines = asked * max(1, len(said) // len(asked)) + said
    maker = MixtureMaker(data / "sound", corpus.split, lines, voices, corpus.seed)
    _write(maker, corpus, folder, workers)


def _sources(corpus: Corpus, folder: Path) -> list[Path]:
    return [folder.parent / name / "manifest.jsonl" for name in corpus.of]


def _speechocean(corpus: Corpus, data: Path, folder: Path, workers: int) -> None:
    rows = manifest.from_speechocean(data / "speech" / "speechocean762", corpus.split)
    manifest.write(folder / "manifest.jsonl", rows)


def _librispeech(corpus: Corpus, data: Path, folder: Path, workers: int) -> None:
    rows = manifest.from_folder(data / "speech" / "librispeech", "CC BY 4.0")
    weights = components.find_whisper(["package:whisper-base", "openai:base"])
    labelled = list(track(pseudo_label(weights, rows), f"reading {corpus.name}", len(rows)))
    manifest.write(folder / "manifest.jsonl", labelled)


def _keywords(corpus: Corpus, data: Path, folder: Path, workers: int) -> None:
    rows = manifest.from_folder(data / "speech" / "keywords", "Apache-2.0")
    manifest.write(folder / "manifest.jsonl", rows)


_MAKERS: dict[str, Callable[[Corpus, Path, Path, int], None]] = {
    "synthetic": _synthetic,
    "nobody": _nobody,
    "speechocean": _speechocean,
    "librispeech": _librispeech,
    "keywords": _keywords,
    "sounds": _sounds,
    "rough": _rough,
    "joined": _joined,
    "mixtures": _mixtures,
}


def _write(maker: Maker, corpus: Corpus, folder: Path, workers: int) -> None:
    steps = write_corpus(maker, corpus.count, folder, workers)
    _show(steps, f"making {corpus.name}", corpus.count)


def _show(steps: Iterator[int], label: str, total: int) -> None:
    for _ in track(steps, label, total):
        pass
