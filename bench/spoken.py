"""Everyday questions, spoken by hibari-tts: what is answered, and how long after the last word.

    python -m bench.spoken --preset small [--json FILE]

Each is a session of its own: 1.5 s of a quiet room, the question, 4 s of the room. What is right is
for the reader to say.
"""

import resource
import statistics

import hibari
import numpy as np
import soxr
import torch

from assistant import audio
from assistant.model import Salmonn, load
from assistant.presets import shipped_config
from assistant.prompt import instruction
from bench.common import keep, parser, show
from streaming.build import build_session
from streaming.config import Config, load_config
from streaming.events import ReplyDelta
from streaming.ledger import Latency
from streaming.replay import replay
from streaming.session import one_each

QUESTIONS = (
    "What is the capital of France?",
    "How many days are there in a week?",
    "What is seven times eight?",
    "Who wrote Romeo and Juliet?",
    "What is the largest planet in the solar system?",
    "How do you say good morning in Spanish?",
    "What is the opposite of hot?",
    "How many legs does a spider have?",
    "What do bees make?",
    "Which ocean is between Europe and America?",
    "What is twenty five plus seventeen?",
    "How do I boil an egg?",
    "I have a headache, what can I do?",
    "What time is it right now?",
    "What will the weather be like tomorrow?",
    "What is my name?",
    "Turn off the lights in the kitchen.",
    "Stop.",
    "Thank you very much.",
    "Tell me something about elephants.",
)
ROOM = 2e-4
"""Level of the noise around a question, full scale 1."""


def spoken(voice: hibari.Hibari, text: str) -> bytes:
    """A question with a quiet room before and after it, 16 kHz PCM16."""
    said = soxr.resample(np.asarray(voice(text, seed=1), np.float32), 24_000, audio.SAMPLE_RATE)
    random = np.random.default_rng(0)
    before, after = (
        random.standard_normal(round(seconds * audio.SAMPLE_RATE)) * ROOM for seconds in (1.5, 4.0)
    )
    whole = np.concatenate([before, 0.5 * said / np.abs(said).max(), after])
    return audio.to_pcm16(whole.astype(np.float32))


def answered(model: Salmonn, config: Config, pcm: bytes) -> tuple[str, Latency | None]:
    """The reply to a question, and its wait."""
    words = instruction(None, None, None, config.model.prompt.default_task)
    text, latency = "", None
    for event in replay(build_session(model, config, words, pace=one_each), pcm):
        if isinstance(event, ReplyDelta):
            text += event.text
        elif isinstance(event, Latency):
            latency = event
    return text.strip(), latency


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--preset", default="small", help="who answers")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    config = load_config(shipped_config(), chosen.preset)
    model, voice = load(config.model), hibari.Hibari()
    rows, waits = [], []
    for question in QUESTIONS:
        text, latency = answered(model, config, spoken(voice, question))
        wait = None if latency is None else latency.endpoint_wait_ms + latency.compute_ms
        if wait is not None:
            waits.append(wait)
        rows.append({"question": question, "reply": text, "last word to first token, ms": wait})
    show(f"Spoken questions, {chosen.preset}", rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    summary = [{"last word to first token, ms, median": statistics.median(waits), "peak, GB": peak}]
    show("All", summary)
    keep(chosen, {"rows": rows, "summary": summary})


if __name__ == "__main__":
    main()
