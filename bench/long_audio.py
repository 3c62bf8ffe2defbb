"""Audio beyond 30 s: what it costs, and how well nano still answers.

    python bench/long_audio.py [--clips 60] [--manifest FILE] [--json FILE]

Recordings are joined to the lengths below, half a second apart. `ask` hears all at once;
`replay` finds the utterances and answers each. Costs are those of encoding alone.
"""

import time

import numpy as np
import torch

from assistant.files.presets import shipped_config
from assistant.model import Salmonn, load
from assistant.rates import SAMPLE_RATE
from assistant.sound import recording
from bench.common import Clip, keep, parser, read_clips, show
from lab.score import word_error_rate
from streaming.build import build_session
from streaming.config_file import load_config
from streaming.dialogue.session import one_each
from streaming.events import ReplyDelta, ReplyEnded
from streaming.instruments.replay import replay

SECONDS = (5, 15, 30, 60, 120, 600)
INSTRUCTION = "Transcribe the speech."
PAUSE = np.zeros(8000, np.float32)


def join(clips: list[Clip], seconds: float) -> Clip:
    """As many clips as fit into `seconds`, from the start again when they run out."""
    samples, n = [PAUSE], len(PAUSE)
    words: list[str] = []
    for i in range(100_000):
        clip = clips[i % len(clips)]
        n += len(clip.samples) + len(PAUSE)
        if words and n > seconds * SAMPLE_RATE:
            break
        samples += [clip.samples, PAUSE]
        words.append(clip.text)
    return Clip(np.concatenate(samples), " ".join(words))


def by_utterances(model: Salmonn, clip: Clip) -> str:
    session = build_session(model, load_config(shipped_config()), INSTRUCTION, pace=one_each)
    words = []
    for event in replay(session, recording.to_pcm16(clip.samples)):
        if isinstance(event, ReplyDelta):
            words.append(event.text)
        elif isinstance(event, ReplyEnded):
            words.append(" ")
    return "".join(words)


def main() -> None:
    options = parser(__doc__, clips=60).parse_args()
    torch.set_num_threads(options.threads)
    model = load(load_config(shipped_config()).model)
    clips = read_clips(options)
    generation = model.config.generation.model_copy(update={"max_new_tokens": 1000})
    rows = []
    for seconds in SECONDS:
        clip = join(clips, seconds)
        length = len(clip.samples) / SAMPLE_RATE
        begin = time.perf_counter()
        tokens = model.ear.hear(torch.from_numpy(clip.samples))
        encode = time.perf_counter() - begin
        whole = "".join(model.ask(clip.samples, INSTRUCTION, generation))
        row = {
            "seconds": length,
            "audio tokens": len(tokens),
            "encode, ms per s": 1000 * encode / length,
            "WER ask, %": 100 * word_error_rate([clip.text], [whole]),
            "WER replay, %": 100 * word_error_rate([clip.text], [by_utterances(model, clip)]),
        }
        rows.append(row)
    show("Long recordings", rows)
    keep(options, {"rows": rows})


if __name__ == "__main__":
    main()
