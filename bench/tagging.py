"""What a preset's sound tagger names: classes, sounds it does not know, and nothing.

    python -m bench.tagging [--preset small] [--clips 2000] [--data ../shared/data] [--json FILE]

Each recording of the report sets (`lab.corpora.library`) is heard as a live stream is, its
first ten seconds, and the names noticed are judged, without an LLM. right: the likeliest name is.
also: another name is. family: the right family, or another class of it. nothing: no name, or
"unknown sound". wrong: the rest. In percent of recordings, and right in percent of classes, each
counted once. A guess ("perhaps a crow") is no name: guessed counts recordings whose class is
guessed rightly where it is not named, misguessed those with no right name and a wrong guess.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from assistant.ear.ear import Ear
from assistant.ear.hearing import Hearing
from assistant.ear.noticing import Sound
from assistant.ear.tagger import UNKNOWN_SOUND, Tagger
from assistant.files.presets import load_preset, shipped_config
from assistant.parts.build import build_ear, build_tagger
from assistant.rates import SAMPLE_RATE
from assistant.sound.recording import Samples, load
from bench.common import keep, parser, show
from lab.classes import sound_classes
from lab.corpora.library import UNKNOWN, Clip, read_library
from lab.corpora.synth import nobody
from lab.score import SYNONYMS, right

LONGEST = 10 * SAMPLE_RATE
QUIET = {"keyboard typing": 20, "person breathing": 20}
"""Recordings of the quiet set that are of these; no other name may be told there."""

HUMS = 60
SEED = 2026


@dataclass(frozen=True, slots=True)
class Heard:
    """A recording's class and the names noticed, the likeliest first."""

    name: str
    told: list[str]
    guessed: list[str]


def notice(ear: Ear, tagger: Tagger, samples: Samples) -> list[Sound]:
    """The sounds noticed in a recording, the likeliest first."""
    hearing = Hearing(ear, tagger=tagger)
    hearing.push(torch.from_numpy(samples[:LONGEST]))
    hearing.peek()
    return sorted(hearing.peeked, key=lambda sound: -sound.probability)


def judge(ear: Ear, tagger: Tagger, name: str, samples: Samples) -> Heard:
    """A recording's class, the names noticed, and the guesses."""
    sounds = notice(ear, tagger, samples)
    return Heard(
        name, [s.name for s in sounds if s.is_sure], [s.name for s in sounds if not s.is_sure]
    )


def family(name: str) -> str:
    """Of a class; of others itself."""
    known = sound_classes().classes.get(name)
    return known.family or name if known is not None else name


def verdict(heard: Heard) -> str:
    """right, also, family, nothing or wrong; for an unknown sound nothing is right."""
    told = [name for name in heard.told if name != UNKNOWN_SOUND]
    if not told:
        return "nothing"
    if heard.name == UNKNOWN:
        return "wrong" if any(name in SYNONYMS for name in told) else "family"
    if right(told[0], heard.name):
        return "right"
    if any(right(name, heard.name) for name in told):
        return "also"
    if family(heard.name) in map(family, told):
        return "family"
    return "wrong"


def guess(heard: Heard) -> str:
    """guessed, misguessed or nothing; see the module."""
    if verdict(heard) in ("right", "also") or not heard.guessed:
        return "nothing"
    return "guessed" if any(right(name, heard.name) for name in heard.guessed) else "misguessed"


def quiet(clips: list[Clip]) -> Iterator[tuple[str, Samples]]:
    """A hundred recordings of nothing: silence, hiss, hum, clicks, and of typing and breathing."""
    for index in range(HUMS):
        yield UNKNOWN, np.asarray(nobody(index, SEED), np.float32)
    for name, count in QUIET.items():
        own = [c for c in clips if c.name == name and c.use in ("report", "choose")]
        for index in range(count):
            yield name, load(own[index % len(own)].path)[index // len(own) * SAMPLE_RATE // 4 :]


def row(title: str, heard: list[Heard]) -> dict[str, object]:
    """A line of the table."""
    verdicts = Counter(map(verdict, heard))
    of_class: dict[str, list[bool]] = defaultdict(list)
    for each in heard:
        of_class[each.name].append(verdict(each) == "right")
    found: dict[str, object] = {"in %": title, "recordings": len(heard)}
    for what in ("right", "also", "family", "nothing", "wrong"):
        found[what] = 100 * verdicts[what] / max(1, len(heard))
    guesses = Counter(map(guess, heard))
    for what in ("guessed", "misguessed"):
        found[what] = 100 * guesses[what] / max(1, len(heard))
    found["classes"] = len(of_class)
    found["right, by class"] = 100 * float(np.mean([np.mean(v) for v in of_class.values()]))
    return found


def main() -> None:
    arguments = parser(__doc__, clips=2000)
    arguments.add_argument("--preset", default="small")
    arguments.add_argument("--data", type=Path, default=Path("../shared/data"))
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    _, config = load_preset(shipped_config(), options.preset)
    ear = build_ear(config)
    tagger = build_tagger(config, ear)
    assert tagger is not None
    clips = read_library(options.data / "sound")
    taught = {clip.name for clip in clips if clip.use == "train"}
    report = [c for c in clips if c.use == "report" and (c.name in taught or c.name == UNKNOWN)]

    def hear(label: str, chosen: list[Clip]) -> list[Heard]:
        step = max(1, -(-len(chosen) // options.clips))
        return [judge(ear, tagger, c.name, load(c.path)) for c in track(chosen[::step], label)]

    known = [c for c in report if c.name != UNKNOWN]
    sources = hear("sources", [c for c in known if c.held_source])
    others = [c for c in known if not c.held_source]
    esc10 = hear("ESC-10", [c for c in others if c.source == "esc10"])
    recordings = hear("recordings", [c for c in others if c.source != "esc10"])
    unknown = hear("unknown", [c for c in report if c.name == UNKNOWN])
    rows = [
        row("sources never trained on", sources),
        row("the same, classes that it has", [h for h in sources if h.name in tagger.names]),
        row("recordings never trained on", recordings),
        row("ESC-10 fold 3", esc10),
        row("sounds it does not know", unknown),
    ]
    show(f"{options.preset}: what the tagger names", rows)
    invented = []
    for name, samples in track(list(quiet(clips)), "nothing"):
        there = (name, family(name), UNKNOWN_SOUND)
        told = [s.name for s in notice(ear, tagger, samples) if s.is_sure]
        invented.append([other for other in told if other not in there])
    wrong = [names for names in invented if names]
    print(f"silence, hum, typing, breath: invents in {len(wrong)} of {len(invented)}: {wrong}")
    missed = Counter((h.name, *h.told[:1]) for h in sources if verdict(h) not in ("right", "also"))
    for pair, times in missed.most_common(20):
        print(times, *pair, sep=" | ")
    keep(options, {"rows": rows, "invented": len(wrong)})


if __name__ == "__main__":
    main()
