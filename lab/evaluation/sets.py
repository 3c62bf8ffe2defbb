"""What is measured on: held-out recordings, each set with the measure that fits it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Literal

import soundfile

from assistant.errors import ConfigError
from assistant.prompt.prompt import instruction
from assistant.rates import SAMPLE_RATE
from lab import manifest
from lab.corpora.derive import adults, genders, keywords, kinds
from lab.corpora.scenes import KIND
from lab.manifest import Row, entries, from_speechocean, half
from lab.score import plain

Measure = Literal["wer", "right", "parts", "silent", "claims"]
"""wer: word error rate. right: share of answers that hold their key. parts: share of the keys'
parts that answers hold. silent: share of recordings about which any answer claims speech or an
event where there is none. claims: share of answers that claim an act."""


@dataclass(frozen=True, slots=True)
class EvalSet:
    """Recordings and how answers to them are judged."""

    name: str
    title: str
    measure: Measure
    rows: list[Row]
    folder: Path
    """What the rows' files are relative to."""

    systems: tuple[str, ...]
    """Which systems can be asked; a baseline without ears is not asked about sounds."""


HEARS = ("offline", "streamed")
WRITES = (*HEARS, "captions", "Whisper")
READS = (*HEARS, "cascade", "bare cascade", "text oracle")

Half = Literal["choose", "report"]
"""Of what nothing was trained on: what weights and settings are chosen by, and what figures are
of. They share no sentence, no speaker and no source recording."""

MADE = ("voices", "questions", "nobody", "mixtures", "sounds")
"""Corpora that have to be made."""


def named_sets(data: Path, made: Mapping[str, Path], clips: int, which: Half) -> list[EvalSet]:
    """The sets of `salmonn-live eval`.

    Args:
        data: the folder `data` of recordings.
        made: folders of the corpora `MADE`, of the same half.
        clips: rows of a set at most, taken evenly.
        which: the sets that choose, or those that report.

    Raises:
        ConfigError: a corpus' list of recordings is missing or wrong.
    """
    ocean = data / "speech" / "speechocean762"
    speech = from_speechocean(ocean, which)
    sounds = _read(made["sounds"])
    mixtures = _read(made["mixtures"])
    asked = [r for r in mixtures if r.task == "listen" and "(" in r.text and r.speaker == "ask"]
    direct = [r for r in mixtures if r.task == "QA" and r.speaker == "ask"]
    others = [r for r in mixtures if r.key and r.speaker != "ask"]
    nobody = _read(made["nobody"])
    still = [r for r in sounds if r.key in ("keyboard typing", "hair dryer", "electric shaver")]
    silent = nobody + [_transcribe(r) for r in still]
    recordings = [list(rows) for _, rows in groupby(silent, key=lambda row: row.stretch)]
    orders = coffee_orders(data / "speech" / "coffee-orders", which)
    folder = made["mixtures"]

    def every(rows: list[Row]) -> list[Row]:
        return evenly(rows, clips)

    # Whole recordings: both the transcript and the answer may be invented.
    quiet = [row for rows in recordings[:: _step(silent, clips)] for row in rows]

    return [
        EvalSet("speech", "real accented speech, unseen speakers: WER", "wer", every(speech),
                Path(), WRITES),
        EvalSet("voices", "unseen synthetic voices: WER", "wer",
                every(_read(made["voices"])), made["voices"], WRITES),
        EvalSet("questions", "spoken questions and commands: right", "right",
                every(_read(made["questions"])), made["questions"], READS),
        EvalSet("orders", "real coffee orders: slots right", "parts",
                every(orders), Path(),
                (*HEARS, "cascade", "bare cascade")),
        EvalSet("esc10", "ESC-10 fold 4, what is this sound: right", "right",
                every([r for r in sounds if r.speaker.startswith("esc10/")]), Path(), HEARS),
        EvalSet("sounds", "39 classes of sound, what is this sound: right", "right",
                every(sounds), Path(), HEARS),
        EvalSet("asked", "a sound, then a spoken question about it: right", "right",
                every(asked), folder, READS),
        EvalSet("typed", "the same recordings, the question typed: right", "right",
                every(direct), folder, (*HEARS, "text oracle")),
        EvalSet("mixtures", "order, count, speech over sound, what was said: right", "right",
                every(others), folder, READS),
        EvalSet("kind", "speech, music or a sound, what is it: right", "right",
                every([*kinds(speech[: len(sounds)]), *map(_kind, sounds)]), Path(), HEARS),
        EvalSet("gender", "a man or a woman speaks, unseen adults: right", "right",
                every(list(genders(speech, adults(ocean)))), Path(), HEARS),
        EvalSet("keywords", "the three rarest words of what is said: found", "parts",
                every(list(keywords(speech))), Path(), HEARS),
        EvalSet("silence", "silence, noise, typing, dryers: invents speech or an event", "silent",
                quiet, made["nobody"], (*HEARS, "Whisper")),
    ]  # fmt: skip


def evenly(rows: list[Row], clips: int) -> list[Row]:
    """At most `clips` of the rows, from all over."""
    return rows[:: _step(rows, clips)]


def coffee_orders(folder: Path, which: Half) -> list[Row]:
    """Rows of half of `data/speech/coffee-orders`; the key holds the slots' values."""
    rows = []
    for entry in [entry for entry in entries(folder) if half(entry["file"]) == which]:
        values = [value.strip() for value in entry["slots"].values()]
        rows.append(
            Row(str((folder / entry["file"]).resolve()), answer="", key=";".join(values),
                task="listen", split=which, licence="Apache-2.0")
        )  # fmt: skip
    return rows


def own_set(path: Path, clips: int) -> EvalSet:
    """Anyone's manifest: judged by key where its rows have one, by word error rate otherwise.

    Raises:
        ConfigError: it is empty, or a row cannot be asked about or judged; file, line and field are
            named.
    """
    rows = manifest.read(path)
    if not rows:
        raise ConfigError(f"{path}: no rows")
    keyed = bool(rows[0].key)
    for number, row in enumerate(rows, 1):
        _check(row, f"{path}:{number}", path.parent / row.audio, keyed)
    systems = (*READS, "captions", "Whisper") if all(row.text for row in rows) else HEARS
    return EvalSet(
        path.stem, f"{path.name}: {'right' if keyed else 'WER'}", "right" if keyed else "wer",
        rows[:: _step(rows, clips)], path.parent, systems,
    )  # fmt: skip


def _check(row: Row, where: str, file: Path, keyed: bool) -> None:
    if bool(row.key) != keyed:
        raise ConfigError(f"{where}: key: rows with a key and rows without are judged apart")
    if not keyed and not plain(row.answer):
        raise ConfigError(f"{where}: answer: needs words where there is no key")
    if not row.instruction:
        try:
            instruction(None, row.task, None)
        except ConfigError as error:
            raise ConfigError(f"{where}: task: {error}") from error
    if not file.is_file():
        raise ConfigError(f"{where}: audio: {file}: no such file")
    try:
        duration_s = soundfile.info(file).duration
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: raw samples, no header
        raise ConfigError(f"{where}: audio: {file}: not readable as audio") from error
    if row.offset >= duration_s * SAMPLE_RATE:
        raise ConfigError(f"{where}: offset: {row.offset} is past the end of {file}")


def _kind(row: Row) -> Row:
    key = "music" if row.key == "music" else "sound"
    return replace(row, instruction=KIND, answer="", key=key)


def _step(rows: list[Row], clips: int) -> int:
    return max(1, -(-len(rows) // clips))


def _read(folder: Path) -> list[Row]:
    return manifest.read(folder / "manifest.jsonl")


def _transcribe(row: Row) -> Row:
    return replace(row, task="asr", instruction="", key="There is no speech.")
