"""From the end of speech to the first token: streamed against encode-at-the-end, same weights.

    python -m bench.latency [--preset nano] [--runs 20] [--json FILE]

Streamed, everything up to the last block is encoded and in the KV cache when speech is over. The
open block is encoded ("encode") and prefilled at the soft endpoint, while it is waited for the
certain one: "from the endpoint" is what is left then, without a speculative reply: the
prompt's tail ("tail") and one token. "Nothing hidden" is all of it, as when a client commits. How
much of the block is open depends on where speech ends: utterances end at `--runs` places spread
over one block, and p50 and p95 are over these. Encode-at-the-end times the whole utterance. All in
turn, one run.
"""

import statistics
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch

from assistant.conversation import Conversation
from assistant.files.presets import load_preset, shipped_config
from assistant.model import Salmonn, load
from assistant.rates import SAMPLE_RATE
from assistant.sound.recording import Samples
from bench.common import keep, lengthened, parser, read_clips, show

INSTRUCTION = "Transcribe the speech."
"""Of an LLM that hears audio tokens."""
SECONDS = (2.0, 5.0, 10.0, 20.0)
FRAME = 320


def listening(model: Salmonn, samples: Samples) -> Conversation:
    """A turn of which everything was heard, frame by frame; what is said is read as a session reads
    it."""
    talk = Conversation(model, model.prompt.usual if model.reads_words else INSTRUCTION)
    talk.open(since=0, spoken_from=0 if model.reads_words else None)
    for at in range(0, len(samples), FRAME):
        if talk.hear(samples[at : at + FRAME]):
            talk.prefill()
        if talk.draft_samples and at and at % talk.draft_samples == 0:
            talk.draft()
            talk.prefill()
    return talk


def seconds_of(*works: Callable[[], object]) -> list[float]:
    """Of each of them, in turn."""
    times = [time.perf_counter()]
    for work in works:
        work()
        times.append(time.perf_counter())
    return [later - now for now, later in pairwise(times)]


def streamed(model: Salmonn, samples: Samples) -> list[float]:
    """Seconds of encoding the open block, of its prefill, of the tail's, of the first token."""
    talk = listening(model, samples)
    return seconds_of(talk.pause, talk.prefill, talk.ask, talk.token)


def committed(model: Salmonn, samples: Samples) -> float:
    """Seconds to the first token when nothing was done at a pause."""
    talk = listening(model, samples)
    return sum(seconds_of(talk.pause, talk.ask, talk.token))


def at_the_end(model: Salmonn, samples: Samples) -> float:
    """Seconds from the endpoint to the first token when work starts there."""
    begin = time.perf_counter()
    next(iter(model.ask(samples, model.prompt.usual if model.reads_words else INSTRUCTION)))
    return time.perf_counter() - begin


def main() -> None:
    options = parser(__doc__, clips=12)
    options.add_argument("--runs", type=int, default=20, help="runs per figure")
    options.add_argument("--preset", default="nano", help="nano or small")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    model = load(load_preset(shipped_config(), chosen.preset)[1])
    clips = read_clips(chosen)
    block_s = model.ear.spans.block / SAMPLE_RATE
    rows = []
    for seconds in SECONDS:
        parts, bare, late = [], [], []
        for run in range(chosen.runs + 1):  # the first warms up
            place = block_s * ((run % chosen.runs) / chosen.runs - 0.5)
            samples = lengthened(clips, seconds + place)
            parts.append(streamed(model, samples))
            bare.append(committed(model, samples))
            late.append(at_the_end(model, samples))
        del parts[0], bare[0], late[0]
        whole = [1000 * seconds for seconds in bare]
        left = [1000 * sum(part[2:]) for part in parts]
        encode, prefill, tail, token = (
            1000 * statistics.median(values) for values in zip(*parts, strict=True)
        )
        rows.append(
            {"utterance, s": seconds, "from the endpoint, p50, ms": float(np.percentile(left, 50)),
             "p95, ms": float(np.percentile(left, 95)),
             "nothing hidden, p50, ms": float(np.percentile(whole, 50)),
             "p95, ms ": float(np.percentile(whole, 95)), "encode, ms": encode,
             "prefill, ms": prefill, "tail, ms": tail, "token, ms": token,
             "at the end, ms": 1000 * statistics.median(late),
             "times faster": 1000 * statistics.median(late) / statistics.median(left),
             "nothing hidden": 1000 * statistics.median(late) / statistics.median(whole)}
        )  # fmt: skip
    growth = {
        f"p50 of {SECONDS[-1]:.0f} s over {SECONDS[0]:.0f} s of speech, {which}": (
            rows[-1][f"{which}, p50, ms"] / rows[0][f"{which}, p50, ms"]
        )
        for which in ("from the endpoint", "nothing hidden")
    }
    show("End of speech (endpoint decided) to first token", rows)
    show("", [growth])
    keep(chosen, {"rows": rows, "growth": growth})


if __name__ == "__main__":
    main()
