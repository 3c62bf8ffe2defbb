"""Decoding and prefilling with every engine, in one run, beside llama.cpp on the same model.

    python -m bench.engine [--runs 9] [--positions 15] [--tokens 24] [--json FILE]

All in turn, medians. llama.cpp has the 4-bit weights of its file, the others what those stand for.
"""

import time
from collections.abc import Callable
from functools import partial
from statistics import median

import torch

from assistant.engine import Engine, LeanEngine, TransformersEngine
from assistant.half import fast_half
from assistant.model import load
from assistant.onnx_engine import OnnxEngine
from assistant.presets import load_preset, shipped_config
from bench.baselines import LlamaCpp
from bench.common import keep, parser, show

Figures = tuple[float, float]
"""Milliseconds of the prefill, tokens per second."""


@torch.inference_mode()
def measure(engine: Engine, embedding: torch.nn.Embedding, prompt: list[int], n: int) -> Figures:
    """Greedy tokens after a prompt."""
    state = engine.start()
    begin = time.perf_counter()
    token = int(engine.extend(state, embedding(torch.tensor(prompt))).argmax())
    first = time.perf_counter()
    for _ in range(n):
        token = int(engine.extend(state, embedding(torch.tensor([token]))).argmax())
    return 1000 * (first - begin), n / (time.perf_counter() - first)


def llama_cpp(server: LlamaCpp, prompt: list[int], n: int) -> Figures:
    """The same, by llama.cpp's own clock."""
    timings = server.complete(prompt, n)["timings"]
    return timings["prompt_ms"], timings["predicted_per_second"]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--runs", type=int, default=9, help="runs per figure")
    options.add_argument("--positions", type=int, default=15, help="of the prompt")
    options.add_argument("--tokens", type=int, default=24, help="decoded")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    llm = load(load_preset(shipped_config(), "nano")[1]).llm
    text = llm.ids("The kettle whistled twice before anyone in the old kitchen looked up. " * 40)
    prompt, n = text[: chosen.positions], chosen.tokens
    model, embedding = llm.model, llm.model.get_input_embeddings()
    engines: dict[str, Engine] = {
        "transformers, fp32": TransformersEngine(model),
        "lean, fp32": LeanEngine(model, torch.float32),
    }
    if fast_half():
        engines["lean, bf16"] = LeanEngine(model, torch.bfloat16)
    engines["ONNX Runtime, 8 bits"] = OnnxEngine(model, chosen.threads)
    server = LlamaCpp(chosen.threads)
    runs: dict[str, Callable[[], Figures]] = {
        name: partial(measure, engine, embedding, prompt, n) for name, engine in engines.items()
    }
    runs["llama.cpp, Q4_1"] = partial(llama_cpp, server, prompt, n)
    found: dict[str, list[Figures]] = {name: [] for name in runs}
    for turn in range(chosen.runs + 1):
        for name, run in runs.items():
            once = run()
            if turn:  # the first warms up
                found[name].append(once)
    theirs = median(speed for _, speed in found["llama.cpp, Q4_1"])
    rows = []
    for name, figures in found.items():
        speed = median(speed for _, speed in figures)
        prefill = median(ms for ms, _ in figures)
        rows.append(
            {"engine": name, f"prefill of {len(prompt)}, ms": prefill, "tokens per second": speed,
             "of llama.cpp's": speed / theirs}
        )  # fmt: skip
    show("Engines", rows)
    keep(chosen, {"rows": rows})


if __name__ == "__main__":
    main()
