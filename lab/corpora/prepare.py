"""Making corpora: recordings and their manifests."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from rich.progress import track

from assistant.config import ModelConfig
from assistant.errors import ConfigError
from assistant.llm.llm import Llm
from assistant.numerics.half import fast_half
from assistant.parts import components
from assistant.parts.build import build_llm
from lab import manifest
from lab.corpora import excerpts, questions, scenes, synth, teacher, texts
from lab.corpora.corpus import CorpusConfig
from lab.corpora.derive import adults, genders, keywords, kinds, replies, stories
from lab.corpora.library import Use, read_library
from lab.corpora.mixtures import MixtureMaker
from lab.corpora.pseudo import pseudo_label
from lab.corpora.recordings import Maker, write_corpus
from lab.corpora.voices import (
    GENDERS,
    NEURAL_VOICES,
    QUICK_VOICES,
    TRAIN_VOICES,
    UNSEEN_VOICES,
    WIDE_VOICES,
)
from lab.manifest import Row

VOICES = {
    "train": TRAIN_VOICES,
    "wide": WIDE_VOICES,
    "quick": QUICK_VOICES,
    "unseen": UNSEEN_VOICES,
    "neural": NEURAL_VOICES,
}


@dataclass(frozen=True, slots=True)
class Order:
    """A corpus to be made, and everything it is made with."""

    name: str
    """Shown while it is made."""

    corpus: CorpusConfig
    of: tuple[Path, ...]
    """Manifests of the corpora it is taken from."""

    data: Path
    """Folder with `text/`, `speech/` and `sound/`, the material."""

    source: Path
    """The manifest to write, among its recordings."""

    workers: int = 2
    """Processes."""

    model: ModelConfig | None = None
    """Kinds that an LLM makes: the preset whose it is."""


def make(order: Order) -> None:
    """Make a corpus, going on where an interruption left its recordings; the manifest comes last.

    Raises:
        ConfigError: there is no folder `data`.
        FileNotFoundError: a program or a file that the corpus is made with is missing.
    """
    if not order.data.is_dir():
        raise ConfigError(f"--data: {order.data}: no such folder")
    _MAKERS[order.corpus.kind](order)


def _synthetic(order: Order) -> None:
    corpus = order.corpus
    noises = order.data / "sound" if corpus.noisy else None
    script = synth.Script(
        _lines(corpus, order.data), VOICES[corpus.voices], corpus.count, corpus.seed, noises,
        corpus.split, corpus.disguised, corpus.live,
    )  # fmt: skip
    _write(script, order)


def _lines(corpus: CorpusConfig, data: Path) -> list[synth.Line]:
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
    return [lines[t] for t in texts.texts_of(list(lines), corpus.split)]


def _nobody(order: Order) -> None:
    _write(synth.Nobody(order.corpus.seed, order.corpus.split), order)


def _sounds(order: Order) -> None:
    if order.corpus.split == "train":
        _write(scenes.SoundMaker(order.data / "sound", order.corpus.seed), order)
        return
    manifest.write(order.source, scenes.held_out_sounds(order.data / "sound", order.corpus.split))


def _instruments(order: Order) -> None:
    from lab.corpora.instruments import InstrumentMaker  # it needs extra `train`

    _write(InstrumentMaker(order.corpus.split, order.corpus.seed), order)


def _orchestra(order: Order) -> None:
    from lab.corpora.instruments import ORCHESTRA, InstrumentMaker  # as above

    _write(InstrumentMaker(order.corpus.split, order.corpus.seed, ORCHESTRA), order)


def _excerpts(order: Order) -> None:
    corpus, data = order.corpus, order.data
    if corpus.split != "train":
        use: Use = "report" if corpus.split == "report" else "choose"
        manifest.write(order.source, excerpts.held_out(data, use))
        return
    clips = read_library(data / "sound")
    doubts = order.source.parents[1] / "doubts.json"  # one for all
    if not doubts.exists():
        paths = [clip.path for clip in clips if clip.use == "train"]
        steps = teacher.write_heard(data / "sound" / "teacher", paths, doubts)
        show(steps, "asking the teacher", len(paths))
    if corpus.made_of == "whole":
        manifest.write(order.source, excerpts.whole_clips(data, doubts))
        return
    played = [clip for path in order.of for clip in excerpts.played(path, "train")]
    kinds = excerpts.TALK if corpus.made_of == "talk" else excerpts.KINDS
    _write(excerpts.ExcerptMaker(data, played, doubts, corpus.seed, kinds), order)


def _rough(order: Order) -> None:
    corpus, (speech,) = order.corpus, order.of
    noises = order.data / "sound"
    _write(scenes.RoughMaker(speech, noises, corpus.seed, corpus.disguised, corpus.live), order)


def _joined(order: Order) -> None:
    _write(scenes.JoinMaker(list(order.of), order.corpus.seed), order)


def _mixtures(order: Order) -> None:
    corpus = order.corpus
    asked = _lines(corpus.model_copy(update={"texts": "questions"}), order.data)
    said = _lines(corpus.model_copy(update={"texts": "assistant"}), order.data)
    lines = asked * max(1, len(said) // len(asked)) + said
    voices, sounds = VOICES[corpus.voices], order.data / "sound"
    _write(MixtureMaker(sounds, corpus.split, lines, voices, corpus.seed, corpus.disguised), order)


def _speechocean(order: Order) -> None:
    folder = order.data / "speech" / "speechocean762"
    manifest.write(order.source, manifest.from_speechocean(folder, order.corpus.split))


def _librispeech(order: Order) -> None:
    rows = manifest.from_folder(order.data / "speech" / "librispeech", "CC BY 4.0")
    weights = components.find_whisper(["package:whisper-base", "openai:base"])
    labelled = list(track(pseudo_label(weights, rows), f"reading {order.name}", len(rows)))
    manifest.write(order.source, labelled)


def _keywords(order: Order) -> None:
    rows = manifest.from_folder(order.data / "speech" / "keywords", "Apache-2.0")
    manifest.write(order.source, rows)


def _replies(order: Order) -> None:
    """To open questions the LLM's own; where nobody can know, that."""
    intent, facts = texts.intents(order.data / "text"), questions.facts()
    rows = [row for row in manifest.read(order.of[0]) if row.task == "asr"]
    asked = _some(
        [r for r in rows if intent.get(r.text) in facts["open_intents"]], order.corpus.count
    )
    found = list(track(replies(_llm(order), asked), f"answering {order.name}", len(asked)))
    unknown = facts["unknown_answer"]
    found += [
        replace(row, answer=unknown, key="don't know", task="listen")
        for row in [row for row in rows if intent.get(row.text) in facts["unknowable_intents"]][::3]
    ]
    manifest.write(order.source, found)


def _stories(order: Order) -> None:
    rows = [r for r in manifest.read(order.of[0]) if r.task == "audiocaption"]
    some = _some(rows, order.corpus.count)
    told = track(stories(_llm(order), some), f"telling {order.name}", len(some))
    manifest.write(order.source, list(told))


def _llm(order: Order) -> Llm:
    assert order.model is not None
    llm = build_llm(order.model)
    if fast_half():
        llm.model.bfloat16()
    return llm


def _some(rows: list[Row], count: int) -> list[Row]:
    """So many of them, evenly."""
    return rows[:: max(1, len(rows) // count)][:count]


def _details(order: Order) -> None:
    rows = [row for row in manifest.read(order.of[0]) if row.task == "asr"]
    known = adults(order.data / "speech" / "speechocean762") | GENDERS
    manifest.write(order.source, [*keywords(rows), *genders(rows, known), *kinds(rows)])


_MAKERS: dict[str, Callable[[Order], None]] = {
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
    "replies": _replies,
    "details": _details,
    "stories": _stories,
    "orchestra": _orchestra,
    "excerpts": _excerpts,
}


def _write(maker: Maker, order: Order) -> None:
    count = order.corpus.count
    steps = write_corpus(maker, count, order.source.parent, order.workers)
    show(steps, f"making {order.name}", count)


def show(steps: Iterator[int], label: str, total: int) -> None:
    """Do `steps`, with a bar that says how many of `total` are done."""
    for _ in track(steps, label, total):
        pass
