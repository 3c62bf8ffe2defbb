"""From the end of speech to the first token: streamed against encode-at-the-end, same weights.

    python -m bench.latency [--runs 20] [--json FILE]

Streamed, everything up to the last block is encoded and in the KV cache when the endpoint is
decided; what is timed is the rest: the open block ("encode"), its prefill and the prompt's tail
("prefill"), one token. By default the open block is encoded at the soft endpoint, while it is
waited for the certain one: "from the endpoint" is what is left then, without a reply begun in
secret. "Nothing hidden" is all of it, as when a client commits. How much of the block is open
depends on where speech ends: utterances end at `--runs` places spread over one block, and p50 and
p95 are over these. Encode-at-the-end times the whole utterance. Both in turn, one run.
"""

import statistics
import time
from itertools import pairwise

import numpy as np
import torch

from assistant.audio import SAMPLE_RATE, Samples
from assistant.conversation import Conversation
from assistant.model import Salmonn, load
from assistant.presets import load_preset, shipped_config
from bench.common import keep, lengthened, parser, read_clips, show

INSTRUCTION = "Transcribe the speech."
SECONDS = (2.0, 5.0, 10.0, 20.0)
FRAME = 320


def streamed(model: Salmonn, samples: Samples) -> tuple[float, float, float]:
    """Seconds from the endpoint on, everything before heard frame by frame: of encoding the open
    block, of the prefill, of the first token."""
    talk = Conversation(model, INSTRUCTION)
    talk.open(since=0)
    for at in range(0, len(samples), FRAME):
        if talk.hear(samples[at : at + FRAME]):
            talk.prefill()
    times = [time.perf_counter()]
    for work in (talk.pause, talk.ask, talk.token):
        work()
        times.append(time.perf_counter())
    encode, prefill, token = (later - now for now, later in pairwise(times))
    return encode, prefill, token


def at_the_end(model: Salmonn, samples: Samples) -> float:
    """Seconds from the endpoint to the first token when work starts there."""
    begin = time.perf_counter()
    next(iter(model.ask(samples, INSTRUCTION)))
    return time.perf_counter() - begin


def main() -> None:
    options = parser(__doc__, clips=12)
    options.add_argument("--runs", type=int, default=20, help="runs per figure")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    model = load(load_preset(shipped_config(), None)[1])
    clips = read_clips(chosen)
    block_s = model.ear.spans.block / SAMPLE_RATE
    rows = []
    for seconds in SECONDS:
        parts, late = [], []
        for run in range(chosen.runs + 1):
            place = block_s * ((run % chosen.runs) / chosen.runs - 0.5)
            samples = lengthened(clips, seconds + place)
            now = streamed(model, samples), at_the_end(model, samples)
            if run:  # the first warms up
                parts.append(now[0])
                late.append(now[1])
        whole = [1000 * sum(part) for part in parts]
        left = [1000 * sum(part[1:]) for part in parts]
        encode, prefill, token = (
            1000 * statistics.median(values) for values in zip(*parts, strict=True)
        )
        rows.append(
            {"utterance, s": seconds, "from the endpoint, p50, ms": float(np.percentile(left, 50)),
             "p95, ms": float(np.percentile(left, 95)),
             "nothing hidden, p50, ms": float(np.percentile(whole, 50)),
             "p95, ms ": float(np.percentile(whole, 95)), "encode, ms": encode,
             "prefill, ms": prefill, "token, ms": token,
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
