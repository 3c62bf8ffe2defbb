"""What it costs to keep calls of tools to their schemas, beside a token of the LLM.

    python -m bench.calls [--preset small] [--runs 5] [--threads 2] [--json FILE]

Masks of every token of a call of each of our tools, applied to logits; medians.
"""

import json
import time
from statistics import median
from typing import Any

import torch

from assistant.files.presets import load_preset, shipped_config
from assistant.parts.build import build_llm
from assistant.toolbox.prompt import EXAMPLES, called, written
from assistant.tools.form import BARE
from assistant.tools.grammar import Grammar, Vocabulary
from assistant.tools.tool import ToolChoice
from bench.common import keep, parser, show
from lab.evaluation.tools import offered

PROMPT = "The kettle whistled twice before anyone in the old kitchen looked up. " * 10


def main() -> None:
    """Measure, and show."""
    options = parser(__doc__)
    options.add_argument("--preset", default="small", help="whose LLM: small or mini")
    options.add_argument("--runs", type=int, default=5, help="times that each call is written")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    llm = build_llm(load_preset(shipped_config(), chosen.preset)[1])
    size, tools = int(llm.model.config.vocab_size), offered()
    vocabulary, made_s = _timed(lambda: Vocabulary(llm.tokenizer, size, llm.stop_ids, BARE))
    grammar, compiled_s = _timed(lambda: Grammar(vocabulary, tools, ToolChoice("required")))
    cache = llm.cache()
    cache.extend(llm.embed(llm.ids(PROMPT)))
    steps, masks, tokens, forced = list[float](), list[float](), 0, 0
    for answer in [call for _, one in EXAMPLES for call in called(one)] * chosen.runs:
        ids, writing = llm.ids(written(vocabulary.form, *answer)), grammar.start()
        logits = cache.logits()
        for place, token in enumerate(ids):
            begin = time.perf_counter()
            mask = writing.mask()
            assert mask is not None
            logits.masked_fill(~mask, -torch.inf).argmax()
            writing.push([token])
            sure = writing.forced()
            masks.append(time.perf_counter() - begin)
            tokens, forced = tokens + 1, forced + bool(sure and place + 1 < len(ids))
    for _ in range(20):
        begin = time.perf_counter()
        cache.extend(llm.embed([100]))
        cache.logits()
        steps.append(time.perf_counter() - begin)
    masks.sort()
    share = 100 * median(masks) / median(steps)
    row: dict[str, Any] = {
        "preset": chosen.preset, "a token, ms": 1000 * median(steps),
        "mask and choice, ms": 1000 * median(masks), "share of a token, %": share,
        "the slowest of 100, ms": 1000 * masks[len(masks) * 99 // 100],
        "forced tokens, %": 100 * forced / tokens, "grammar, ms": 1000 * compiled_s,
        "vocabulary, once, s": made_s,
    }  # fmt: skip
    show("Calls that fit their schema", [row])
    keep(chosen, {"rows": [row], "tools": json.loads(json.dumps([tool.name for tool in tools]))})


def _timed(make: Any) -> tuple[Any, float]:
    begin = time.perf_counter()
    made = make()
    return made, time.perf_counter() - begin


if __name__ == "__main__":
    main()
