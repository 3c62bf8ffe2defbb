"""From the end of speech to the first token: streamed against encode-at-the-end, same weights.

    python bench/latency.py [--runs 7] [--json FILE]

Streamed, everything up to the last block is encoded and in the KV cache when the endpoint is
decided; what is timed is the rest: the open block, its prefill, the prompt's tail, one token.
Encode-at-the-end times the whole utterance. Both in turn, medians, one run.
"""

import time

import torch

from assistant.audio import Samples
from assistant.conversation import Conversation
from assistant.model import Salmonn, load
from assistant.presets import load_preset, shipped_config
from bench.common import keep, lengthened, median_ms, parser, read_clips, show

INSTRUCTION = "Transcribe the speech."
SECONDS = (2.0, 5.0, 10.0, 20.0)
FRAME = 320


def streamed(model: Salmonn, samples: Samples) -> float:
    """Seconds from the endpoint to the first token, everything before heard frame by frame."""
    talk = Conversation(model, INSTRUCTION)
    talk.open(since=0)
    for at in range(0, len(samples), FRAME):
        if talk.hear(samples[at : at + FRAME]):
            talk.prefill()
    begin = time.perf_counter()
    talk.pause()
    talk.ask()
    talk.token()
    return time.perf_counter() - begin


def at_the_end(model: Salmonn, samples: Samples) -> float:
    """Seconds from the endpoint to the first token when work starts there."""
    begin = time.perf_counter()
    next(iter(model.ask(samples, INSTRUCTION)))
    return time.perf_counter() - begin


def main() -> None:
    options = parser(__doc__, clips=12)
    options.add_argument("--runs", type=int, default=7, help="runs per figure")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    model = load(load_preset(shipped_config(), None)[1])
    clips = read_clips(chosen)
    rows = []
    for seconds in SECONDS:
        samples = lengthened(clips, seconds)
        streamed(model, samples), at_the_end(model, samples)  # warm up
        live = median_ms(lambda s=samples: streamed(model, s), chosen.runs)
        late = median_ms(lambda s=samples: at_the_end(model, s), chosen.runs)
        rows.append(
            {"utterance, s": seconds, "streamed, ms": live, "at the end, ms": late,
             "times faster": late / live}
        )  # fmt: skip
    show("End of speech (endpoint decided) to first token", rows)
    keep(chosen, {"rows": rows})


if __name__ == "__main__":
    main()
