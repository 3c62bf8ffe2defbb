"""Decoding and prefilling with every engine, in one run, beside llama.cpp on the same model.

    python -m bench.engine [--preset nano] [--runs 9] [--positions 15] [--tokens 24] [--json FILE]

All in turn, medians. llama.cpp has the weights of its file; so have `small` and `mini`, in 4 and 8
bits. Of nano the others have what its 4-bit weights stand for.
"""

import time
from collections.abc import Callable
from functools import partial
from statistics import median

import torch

from assistant.files.presets import load_preset, shipped_config
from assistant.llm.engines.engine import Engine, LeanEngine, TransformersEngine
from assistant.llm.engines.onnx_engine import OnnxEngine
from assistant.llm.llm import Llm
from assistant.llm.packed_llm import PackedLlm
from assistant.llm.weights.read import ReadWeights, StateTensors
from assistant.model import load
from assistant.numerics.half import fast_half
from bench.baselines import LlamaCpp, gguf
from bench.common import keep, parser, show

Figures = tuple[float, float]
"""Milliseconds of the prefill, tokens per second."""

LLAMA_CPP = "llama.cpp"


@torch.inference_mode()
def measure(engine: Engine, llm: Llm, prompt: list[int], n: int) -> Figures:
    """Greedy tokens after a prompt."""
    state = engine.start()
    begin = time.perf_counter()
    token = int(engine.extend(state, llm.embed(prompt)).argmax())
    first = time.perf_counter()
    for _ in range(n):
        token = int(engine.extend(state, llm.embed([token])).argmax())
    return 1000 * (first - begin), n / (time.perf_counter() - first)


def llama_cpp(server: LlamaCpp, prompt: list[int], n: int) -> Figures:
    """The same, by llama.cpp's own clock."""
    timings = server.complete(prompt, n)["timings"]
    return timings["prompt_ms"], timings["predicted_per_second"]


def engines_of(llm: Llm, threads: int) -> dict[str, Engine]:
    """Those that can run it."""
    model = llm.model
    if isinstance(model, PackedLlm):
        return {"ONNX Runtime, packed": llm.engine}
    engines: dict[str, Engine] = {
        "transformers, fp32": TransformersEngine(model),
        "lean, fp32": LeanEngine(model, torch.float32),
    }
    if fast_half():
        engines["lean, bf16"] = LeanEngine(model, torch.bfloat16)
    weights = ReadWeights(StateTensors(model), model.config)
    engines["ONNX Runtime, 8 bits"] = OnnxEngine(weights, threads)
    return engines


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--preset", default="nano", help="whose LLM: nano, small or mini")
    options.add_argument("--runs", type=int, default=9, help="runs per figure")
    options.add_argument("--positions", type=int, nargs="+", default=[15], help="of the prompt")
    options.add_argument("--tokens", type=int, default=24, help="decoded")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    llm = load(load_preset(shipped_config(), chosen.preset)[1]).llm
    text = llm.ids("The kettle whistled twice before anyone in the old kitchen looked up. " * 40)
    engines = engines_of(llm, chosen.threads)
    with gguf(chosen.preset) as path:
        server = LlamaCpp(chosen.threads, path)
        rows = []
        for positions in chosen.positions:
            rows += compare(engines, llm, server, text[:positions], chosen.tokens, chosen.runs)
    show(f"Engines, {chosen.preset}", rows)
    keep(chosen, {"rows": rows})


def compare(
    engines: dict[str, Engine], llm: Llm, server: LlamaCpp, prompt: list[int], n: int, turns: int
) -> list[dict[str, object]]:
    """A row per engine."""
    runs: dict[str, Callable[[], Figures]] = {
        name: partial(measure, engine, llm, prompt, n) for name, engine in engines.items()
    }
    runs[LLAMA_CPP] = partial(llama_cpp, server, prompt, n)
    found: dict[str, list[Figures]] = {name: [] for name in runs}
    for turn in range(turns + 1):
        for name, run in runs.items():
            once = run()
            if turn:  # the first warms up
                found[name].append(once)
    medians = {
        name: tuple(median(values) for values in zip(*figures, strict=True))
        for name, figures in found.items()
    }
    their_prefill, their_speed = medians[LLAMA_CPP]
    return [
        {"engine": name, "positions": len(prompt), "prefill, ms": prefill,
         "tokens per second": speed, "prefill, times llama.cpp's speed": their_prefill / prefill,
         "decoding, times": speed / their_speed}
        for name, (prefill, speed) in medians.items()
    ]  # fmt: skip


if __name__ == "__main__":
    main()
