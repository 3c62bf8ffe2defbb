"""From the decision that speech is over to the first token: ours, and a cascade of the same parts.

    python -m bench.cascade [--runs 5] [--json FILE]

The cascade is faster-whisper (base, int8, greedy) and then SmolLM2 in llama.cpp, all of whose
instruction is in its cache already: its work begins when speech is over. Ours, from the same
weights, does all but the last block while speech goes on. "Nothing hidden" leaves that block for
the end, too; "from the endpoint" had it encoded and prefilled since the pause; "begun at the pause"
is what is left of "nothing hidden" when the reply began in secret at `pause_frames` of silence, and
the endpoint is decided at `min_silence_frames`. All in turn, medians, one run.
"""

import statistics
from functools import partial

import torch

from assistant.files.presets import shipped_config
from assistant.model import load
from assistant.rates import SAMPLE_RATE
from bench.baselines import LlamaCpp, gguf, timed, transcribe, whisper_base
from bench.common import keep, lengthened, parser, read_clips, show
from bench.latency import committed, streamed
from streaming.audio.frames import FRAME_SAMPLES
from streaming.config_file import load_config

SECONDS = (3.0, 10.0)
INSTRUCTED = "<|im_start|>user\nAnswer in one sentence.\n"
ASKED = "<|im_end|>\n<|im_start|>assistant\n"


def main() -> None:
    options = parser(__doc__, clips=12)
    options.add_argument("--runs", type=int, default=5, help="runs per figure")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    config = load_config(shipped_config(), "nano")
    model = load(config.model)
    ends = config.endpointing
    wait = (ends.min_silence_frames - ends.pause_frames) * FRAME_SAMPLES / SAMPLE_RATE
    clips = read_clips(chosen)
    with gguf("nano") as path:
        llm = LlamaCpp(chosen.threads, path)
    rows = []
    with whisper_base(chosen.threads) as whisper:
        for seconds in SECONDS:
            samples = lengthened(clips, seconds)
            found: dict[str, list[float]] = {}
            for turn in range(chosen.runs + 1):
                llm.complete(INSTRUCTED, 1)
                words = timed(partial(transcribe, whisper, samples))
                prompt = f"{INSTRUCTED}{words.value.strip()}{ASKED}"
                first = timed(partial(llm.complete, prompt, 1, reuse=True))
                ours = committed(model, samples)
                now = {
                    "faster-whisper": words.seconds,
                    "llama.cpp": first.seconds,
                    "cascade": words.seconds + first.seconds,
                    "nothing hidden": ours,
                    "from the endpoint": sum(streamed(model, samples)[2:]),
                    "begun at the pause": max(0.0, ours - wait),
                }
                if turn:  # the first warms up
                    for name, value in now.items():
                        found.setdefault(name, []).append(1000 * value)
            medians = {name: statistics.median(values) for name, values in found.items()}
            rows.append(
                {"utterance, s": seconds}
                | {f"{name}, ms": value for name, value in medians.items()}
                | {
                    f"times faster, {name}": medians["cascade"] / medians[name]
                    for name in ("nothing hidden", "from the endpoint")
                }
            )
    show("End of speech (endpoint decided) to first token", rows)
    keep(chosen, {"rows": rows})


if __name__ == "__main__":
    main()
