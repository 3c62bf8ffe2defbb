"""Making what training reads: recordings with manifests, then encoder features."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.progress import track

from assistant.config import ModelConfig
from assistant.errors import ConfigError
from assistant.files.presets import read_yaml, validate
from assistant.llm.llm import Llm
from assistant.numerics.half import fast_half
from assistant.parts import components
from assistant.parts.build import build_llm
from lab import manifest
from lab.corpora import excerpts, questions, scenes, synth, teacher, texts
from lab.corpora.corpus import Corpus, DataConfig
from lab.corpora.derive import adults, genders, keywords, kinds, replies, stories
from lab.corpora.library import Use, read_library
from lab.corpora.mixtures import MixtureMaker
from lab.corpora.pseudo import pseudo_label
from lab.corpora.recordings import Maker, write_corpus
from lab.corpora.transcribe import transcribe
from lab.corpora.voices import (
    GENDERS,
    NEURAL_VOICES,
    QUICK_VOICES,
    TRAIN_VOICES,
    UNSEEN_VOICES,
    WIDE_VOICES,
)
from lab.features import FOLDERS, TRANSCRIPTS, extract, refer, unique
from lab.manifest import Row

VOICES = {
    "train": TRAIN_VOICES,
    "wide": WIDE_VOICES,
    "quick": QUICK_VOICES,
    "unseen": UNSEEN_VOICES,
    "neural": NEURAL_VOICES,
}

SETTINGS = "corpus.json"
"""File beside a manifest: what its corpus was made with."""


def prepare(config: DataConfig, model: ModelConfig, data: Path, runs: Path, workers: int) -> None:
    """Make every corpus that is not there yet; features go on where they stopped.

    Args:
        config: what to make.
        model: the preset whose encoders hear.
        data: folder with `text/` and `speech/` of the training material.
        runs: receives `data/NAME` and `features/NAME`.
        workers: processes.

    Raises:
        ConfigError: the preset's encoders are not block-causal, there is no `data`, or a corpus
            is there that was made with other settings.
    """
    folder = runs / FOLDERS[config.features]
    if config.features != "fbank" and model.encoding.mode != "cached":
        raise ConfigError(f"preset {config.preset}: training needs encoding.mode cached")
    for corpus in config.corpora:
        if corpus.kind in _DERIVERS:
            source = derive(corpus, model, data, runs / "data")
            refer(source, folder / corpus.name, corpus.of[0])
            continue
        source = make(corpus, data, runs / "data", workers)
        total = len(unique(manifest.read(source))[0])
        steps = extract(model, source, folder / corpus.name, workers, config.features)
        _show(steps, f"hearing {corpus.name}", total)
        if corpus.transcribe and not (folder / corpus.name / TRANSCRIPTS).exists():
            steps = transcribe(model, folder / corpus.name, corpus.transcribe, workers)
            _show(steps, f"transcribing {corpus.name}", min(total, corpus.transcribe))


def make(corpus: Corpus, data: Path, folder: Path, workers: int) -> Path:
    """Make a corpus' recordings in `folder/NAME` if they are not there yet.

    Returns:
        Its manifest.

    Raises:
        ConfigError: there is no `data`, or the corpus there was made with other settings.
    """
    source = folder / corpus.name / "manifest.jsonl"
    _claim(corpus, data, source.with_name(SETTINGS))
    if not source.exists():
        _MAKERS[corpus.kind](corpus, data, source, workers)
    return source


def derive(corpus: Corpus, model: ModelConfig, data: Path, folder: Path) -> Path:
    """Make a corpus that is rows alone, if it is not there yet, beside what they are about.

    Args:
        corpus: of a kind that is about another.
        model: the preset whose LLM replies and tells stories.
        data: folder of the training material.
        folder: holds the corpora.

    Returns:
        Its manifest, `folder/BASE/NAME.jsonl`.

    Raises:
        ConfigError: there is no `data`, or the corpus there was made with other settings.
    """
    source = folder / corpus.of[0] / f"{corpus.name}.jsonl"
    _claim(corpus, data, source.with_suffix(".json"))
    if not source.exists():
        manifest.write(source, _DERIVERS[corpus.kind](corpus, model, data, source))
    return source


def _claim(corpus: Corpus, data: Path, path: Path) -> None:
    """Say in file `path` what the corpus is made with; one without that file is taken as it is."""
    if not data.is_dir():
        raise ConfigError(f"--data: {data}: no such folder")
    wanted = _settings(corpus)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(wanted) + "\n")
    made = _settings(validate(Corpus, read_yaml(path), str(path)))
    for key, value in wanted.items():
        if made[key] != value:
            raise ConfigError(
                f"corpora: {corpus.name}: {key} is {value!r}, but {path} says it was made with "
                f"{made[key]!r}; delete that corpus or use another --runs folder"
            )


def _settings(corpus: Corpus) -> dict[str, Any]:
    """All that decides what the recordings and rows are; transcripts are only added to them."""
    return corpus.model_dump(exclude={"transcribe"})


def _synthetic(corpus: Corpus, data: Path, source: Path, workers: int) -> None:
    noises = data / "sound" if corpus.noisy else None
    script = synth.Script(
        _lines(corpus, data), VOICES[corpus.voices], corpus.count, corpus.seed, noises,
        corpus.split, corpus.disguised, corpus.live,
    )  # fmt: skip
    _write(script, corpus, source, workers)


def _lines(corpus: Corpus, data: Path) -> list[synth.Line]:
    if corpus.texts == "questions":
        asked = {a.text: a for a in questions.all_asked()}
        lines = {t: synth.Line(t, a.answer, task="listen", key=a.key) for t, a in asked.items()}
    elif corpus.texts == "trivia":
        known = texts.trivia(data / "text")
        lines = {
            t: synth.Line(t, f"{questions.sentence(a)}.", task="listen", key=a.lower())
            for t, a in known.items()
        }
    elif corpus.texts == "general":
        lines = {t: synth.Line(t, t) for t in texts.general_texts()}
    else:
        lines = {t: synth.Line(t, t) for t in texts.assistant_texts(data / "text")}
    train, held_out = texts.split_texts(list(lines))
    return [lines[t] for t in (train if corpus.split == "train" else held_out)]


def _nobody(corpus: Corpus, data: Path, source: Path, workers: int) -> None:
    _write(synth.Nobody(corpus.seed, corpus.split), corpus, source, workers)


def _sounds(corpus: Corpus, data: Path, source: Path, workers: int) -> None:
    if corpus.split == "dev":
        manifest.write(source, scenes.held_out_sounds(data / "sound"))
        return
    _write(scenes.SoundMaker(data / "sound", corpus.seed), corpus, source, workers)


def _instruments(corpus: Corpus, data: Path, source: Path, workers: int) -> None:
    from lab.corpora.instruments import InstrumentMaker  # it needs extra `train`

    _write(InstrumentMaker(corpus.split, corpus.seed), corpus, source, workers)


def _orchestra(corpus: Corpus, data: Path, source: Path, workers: int) -> None:
    from lab.corpora.instruments import ORCHESTRA, InstrumentMaker  # as above

    _write(InstrumentMaker(corpus.split, corpus.seed, ORCHESTRA), corpus, source, workers)


def _excerpts(corpus: Corpus, data: Path, source: Path, workers: int) -> None:
    if corpus.split != "train":
        use: Use = "report" if corpus.split == "report" else "choose"
        manifest.write(source, excerpts.held_out(data, use))
        return
    clips = read_library(data / "sound")
    doubts = source.parents[1] / "doubts.json"  # one for all
    if not doubts.exists():
        paths = [clip.path for clip in clips if clip.use == "train"]
        steps = teacher.write_heard(data / "sound" / "teacher", paths, doubts)
        _show(steps, "asking the teacher", len(paths))
    played = [clip for path in _sources(corpus, source) for clip in excerpts.played(path, "train")]
    if corpus.made_of == "whole":
        manifest.write(source, excerpts.whole_clips(data, doubts))
        return
    kinds = excerpts.TALK if corpus.made_of == "talk" else excerpts.KINDS
    maker = excerpts.ExcerptMaker(data, played, doubts, corpus.seed, kinds)
    _write(maker, corpus, source, workers)


def _rough(corpus: Corpus, data: Path, source: Path, workers: int) -> None:
    (speech,) = _sources(corpus, source)
    _write(
        scenes.RoughMaker(speech, data / "sound", corpus.seed, corpus.disguised),
        corpus,
        source,
        workers,
    )


def _joined(corpus: Corpus, data: Path, source: Path, workers: int) -> None:
    _write(scenes.JoinMaker(_sources(corpus, source), corpus.seed), corpus, source, workers)


def _mixtures(corpus: Corpus, data: Path, source: Path, workers: int) -> None:
    asked = _lines(corpus.model_copy(update={"texts": "questions"}), data)
    said = _lines(corpus.model_copy(update={"texts": "assistant"}), data)
    lines = asked * max(1, len(said) // len(asked)) + said
    voices = VOICES[corpus.voices]
    maker = MixtureMaker(data / "sound", corpus.split, lines, voices, corpus.seed, corpus.disguised)
    _write(maker, corpus, source, workers)


def _sources(corpus: Corpus, source: Path) -> list[Path]:
    return [source.parents[1] / name / "manifest.jsonl" for name in corpus.of]


def _speechocean(corpus: Corpus, data: Path, source: Path, workers: int) -> None:
    rows = manifest.from_speechocean(data / "speech" / "speechocean762", corpus.split)
    manifest.write(source, rows)


def _librispeech(corpus: Corpus, data: Path, source: Path, workers: int) -> None:
    rows = manifest.from_folder(data / "speech" / "librispeech", "CC BY 4.0")
    weights = components.find_whisper(["package:whisper-base", "openai:base"])
    labelled = list(track(pseudo_label(weights, rows), f"reading {corpus.name}", len(rows)))
    manifest.write(source, labelled)


def _keywords(corpus: Corpus, data: Path, source: Path, workers: int) -> None:
    rows = manifest.from_folder(data / "speech" / "keywords", "Apache-2.0")
    manifest.write(source, rows)


def _replies(corpus: Corpus, model: ModelConfig, data: Path, source: Path) -> list[Row]:
    """To open questions the LLM's own; where nobody can know, that."""
    intent, facts = texts.intents(data / "text"), questions.facts()
    rows = [row for row in manifest.read(_sources(corpus, source)[0]) if row.task == "asr"]
    asked = _some([r for r in rows if intent.get(r.text) in facts["open_intents"]], corpus.count)
    found = list(track(replies(_llm(model), asked), f"answering {corpus.name}", len(asked)))
    unknown = facts["unknown_answer"]
    found += [
        replace(row, answer=unknown, key="don't know", task="listen")
        for row in [row for row in rows if intent.get(row.text) in facts["unknowable_intents"]][::3]
    ]
    return found


def _stories(corpus: Corpus, model: ModelConfig, data: Path, source: Path) -> list[Row]:
    rows = [r for r in manifest.read(_sources(corpus, source)[0]) if r.task == "audiocaption"]
    some = _some(rows, corpus.count)
    return list(track(stories(_llm(model), some), f"telling {corpus.name}", len(some)))


def _llm(model: ModelConfig) -> Llm:
    llm = build_llm(model)
    if fast_half():
        llm.model.bfloat16()
    return llm


def _some(rows: list[Row], count: int) -> list[Row]:
    """So many of them, evenly."""
    return rows[:: max(1, len(rows) // count)][:count]


def _details(corpus: Corpus, model: ModelConfig, data: Path, source: Path) -> list[Row]:
    rows = [row for row in manifest.read(_sources(corpus, source)[0]) if row.task == "asr"]
    known = adults(data / "speech" / "speechocean762") | GENDERS
    return [*keywords(rows), *genders(rows, known), *kinds(rows)]


_MAKERS: dict[str, Callable[[Corpus, Path, Path, int], None]] = {
    "synthetic": _synthetic,
    "nobody": _nobody,
    "speechocean": _speechocean,
    "librispeech": _librispeech,
    "keywords": _keywords,
    "sounds": _sounds,
    "instruments": _instruments,
    "rough": _rough,
    "joined": _joined,
    "mixtures": _mixtures,
    "orchestra": _orchestra,
    "excerpts": _excerpts,
}

_DERIVERS: dict[str, Callable[[Corpus, ModelConfig, Path, Path], list[Row]]] = {
    "replies": _replies,
    "details": _details,
    "stories": _stories,
}


def _write(maker: Maker, corpus: Corpus, source: Path, workers: int) -> None:
    steps = write_corpus(maker, corpus.count, source.parent, workers)
    _show(steps, f"making {corpus.name}", corpus.count)


def _show(steps: Iterator[int], label: str, total: int) -> None:
    for _ in track(steps, label, total):
        pass
