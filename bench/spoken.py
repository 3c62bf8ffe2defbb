"""Everyday questions, spoken: what is answered, whether it is right, and how long it takes.

    python -m bench.spoken --preset small [--kinds facts sums] [--clips 50] [--json FILE]

Single questions of `lab/evaluation/everyday.yaml`, the same share of each kind, in one voice
of hibari-tts; talks of several turns, sentences with pauses between them and sounds are left out.
Each question is a session of its own: 1.5 s of a quiet room, the question, 4 s of the room.
"""

import resource
import statistics
from dataclasses import dataclass
from typing import Any

import hibari
import numpy as np
import soxr
import torch

from assistant.files.presets import shipped_config
from assistant.model import Salmonn, load
from assistant.prompt.prompt import instruction
from assistant.rates import SAMPLE_RATE
from assistant.sound.recording import to_pcm16
from bench.common import keep, parser, show
from lab.evaluation.everyday import Asked, Talk, claims_act, talks
from streaming.build import build_session
from streaming.config import Config
from streaming.config_file import load_config
from streaming.dialogue.session import one_each
from streaming.events import ReplyDelta, ReplyEnded
from streaming.instruments.ledger import Latency
from streaming.instruments.replay import replay

VOICE_RATE = 24_000
"""Samples per second of the voice."""

ROOM = 2e-4
"""Level of the noise around a question, full scale 1."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A question, and what came of it."""

    kind: str
    asked: Asked
    reply: str
    wait_ms: float | None
    """From the last word to the first token; None: there was no reply."""


SINGLE = [t for t in talks() if t.sound is None and len(t.turns) == len(t.turns[0].ask) == 1]
"""Questions that are one sentence each."""

KINDS = [*dict.fromkeys(talk.kind for talk in SINGLE)]
"""Sections of the file that have some."""


def questions(kinds: list[str], most: int) -> list[Talk]:
    """No more than `most` single questions of these kinds, the same share of each."""
    chosen = [talk for talk in SINGLE if talk.kind in kinds]
    count = min(most, len(chosen))
    return [chosen[i * len(chosen) // count] for i in range(count)]


def spoken(voice: hibari.Hibari, text: str) -> bytes:
    """A question with a quiet room before and after it, 16 kHz PCM16."""
    said = soxr.resample(np.asarray(voice(text, seed=1), np.float32), VOICE_RATE, SAMPLE_RATE)
    random = np.random.default_rng(0)
    before, after = (
        random.standard_normal(round(seconds * SAMPLE_RATE)) * ROOM for seconds in (1.5, 4.0)
    )
    whole = np.concatenate([before, 0.5 * said / np.abs(said).max(), after])
    return to_pcm16(whole.astype(np.float32))


def answered(model: Salmonn, config: Config, pcm: bytes) -> tuple[str, float | None]:
    """The reply to a question, and its wait in milliseconds."""
    words = instruction(None, None, None, config.model.prompt.default_task)
    text, wait = "", None
    for event in replay(build_session(model, config, words, pace=one_each), pcm):
        if isinstance(event, ReplyDelta):
            text += event.text
        elif isinstance(event, ReplyEnded):
            text += " "  # a question with a pause in it may be answered twice
        elif isinstance(event, Latency):
            wait = event.endpoint_wait_ms + event.compute_ms
    return text.strip(), wait


def counted(kind: str, answers: list[Answered]) -> dict[str, Any]:
    """A row of the table: how many are right, and how many claim an act."""
    waits = [a.wait_ms for a in answers if a.wait_ms is not None]
    return {
        "kind": kind,
        "asked": len(answers),
        "right": sum(a.asked.is_right(a.reply) for a in answers),
        "claims an act": sum(claims_act(a.reply) for a in answers),
        "first token after, ms": statistics.median(waits) if waits else None,
    }


def main() -> None:
    options = parser(__doc__, clips=50)
    options.add_argument("--preset", default="small", help="who answers")
    options.add_argument(
        "--kinds", nargs="+", choices=KINDS, default=KINDS, help="sections of everyday.yaml"
    )
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    asked = questions(chosen.kinds, chosen.clips)
    config = load_config(shipped_config(), chosen.preset)
    model, voice = load(config.model), hibari.Hibari()
    answers = []
    for talk in asked:
        (turn,) = talk.turns
        reply, wait = answered(model, config, spoken(voice, turn.ask[0]))
        answers.append(Answered(talk.kind, turn, reply, wait))
    rows: list[dict[str, Any]] = [
        {"kind": a.kind, "question": a.asked.ask[0], "reply": a.reply, "wait, ms": a.wait_ms,
         "right": a.asked.is_right(a.reply)}
        for a in answers
    ]  # fmt: skip
    for row in rows:
        print(f"{row['question']} {row['reply']} ({'right' if row['right'] else 'wrong'})")
    kinds = dict.fromkeys(a.kind for a in answers)
    summary = [counted(kind, [a for a in answers if a.kind == kind]) for kind in kinds]
    summary.append(counted("all", answers))
    show(f"Spoken questions, {chosen.preset}", summary)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    show("", [{"peak, GB": peak}])
    keep(chosen, {"rows": rows, "summary": summary, "peak, GB": peak})


if __name__ == "__main__":
    main()
