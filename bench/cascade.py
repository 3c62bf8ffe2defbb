"""From the decision that speech is over to the first token: ours, and a cascade of the same parts.

    python -m bench.cascade [--preset nano] [--seconds 3 10] [--runs 5] [--json FILE]

The cascade is faster-whisper (base, int8, greedy) and then the preset's LLM in llama.cpp, which has
everything that stands before the transcript in its cache already: its work begins when speech is
over. "Cascade from nothing" prefills that, too. Ours, from the same weights, does all but the last
block while speech goes on; an LLM that reads words is given what was read last. "Nothing hidden"
leaves that block for the end, too; "from the endpoint" had it encoded and prefilled since the
pause; "begun at the pause" is what is left of "nothing hidden" when the reply began in secret at
`pause_frames` of silence, and the endpoint is decided at `min_silence_frames`. All in turn,
medians, one run.
"""

import statistics
from functools import partial

import torch

from assistant.files.presets import shipped_config
from assistant.model import Salmonn, load
from assistant.prompt.words import in_words
from assistant.rates import SAMPLE_RATE
from bench.baselines import LlamaCpp, gguf, timed, transcribe, whisper_base
from bench.common import keep, lengthened, parser, read_clips, show
from bench.latency import committed, streamed
from streaming.audio.frames import FRAME_SAMPLES
from streaming.config_file import load_config

SECONDS = (3.0, 10.0)


def prompts(model: Salmonn, said: str) -> tuple[list[int], list[int]]:
    """Token ids that stand before a transcript, and those of the whole prompt around it."""
    llm, usual = model.llm, model.prompt.usual
    before, after = model.prompt.ids(llm, usual)
    heard = in_words("none", said) if model.reads_words else said
    return before, [*before, *llm.ids(heard), *after]


def main() -> None:
    options = parser(__doc__, clips=12)
    options.add_argument("--runs", type=int, default=5, help="runs per figure")
    options.add_argument("--preset", default="nano", help="nano or small")
    options.add_argument(
        "--seconds", type=float, nargs="+", default=SECONDS, help="lengths of what is said"
    )
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    config = load_config(shipped_config(), chosen.preset)
    model = load(config.model)
    ends = config.endpointing
    wait = (ends.min_silence_frames - ends.pause_frames) * FRAME_SAMPLES / SAMPLE_RATE
    clips = read_clips(chosen)
    with gguf(chosen.preset) as path:
        llm = LlamaCpp(chosen.threads, path)
    rows = []
    with whisper_base(chosen.threads) as whisper:
        for seconds in chosen.seconds:
            samples = lengthened(clips, seconds)
            found: dict[str, list[float]] = {}
            for turn in range(chosen.runs + 1):
                words = timed(partial(transcribe, whisper, samples))
                instructed, prompt = prompts(model, words.value.strip())
                llm.complete(instructed, 1, reuse=True)
                first = timed(partial(llm.complete, prompt, 1, reuse=True))
                cold = timed(partial(llm.complete, prompt, 1))
                ours = committed(model, samples)
                now = {
                    "faster-whisper": words.seconds,
                    "llama.cpp": first.seconds,
                    "cascade": words.seconds + first.seconds,
                    "cascade from nothing": words.seconds + cold.seconds,
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
