"""What `compile: true` saves of a training step.

    python -m bench.training lab/recipes/nano-18-read.yaml --runs runs [--steps 12]

The same batches, forward and backward, through the stage as it is and compiled, from the same
weights. Needs the stage's features and the run it starts from; nothing is written there.
"""

import time
from pathlib import Path
from statistics import median

import torch

from assistant.files.presets import shipped_config
from bench.common import keep, parser, show
from lab.features import FeatureStore
from lab.training.config import StageConfig, load_stage
from lab.training.loop import Corpus, halved, mask
from lab.training.run import build_stage
from streaming.config_file import load_config

WARM_UP = 6
"""Steps not counted: lengths of all kinds are compiled for."""


def seconds(config: StageConfig, runs: Path, steps: int) -> list[float]:
    """Of each counted step."""
    model = load_config(shipped_config(), config.preset).model
    torch.manual_seed(config.seed)
    stores = [FeatureStore(runs / "features" / c.store) for c in config.train]
    stage = build_stage(model, config, runs, [row.text for s in stores for row in s.rows])
    stage.module.train()
    corpus = Corpus(stores, [c.times for c in config.train])
    taken: list[float] = []
    for features, rows in corpus.take(corpus.batches(config, 0)[: WARM_UP + steps]):
        torch.manual_seed(len(taken))  # the same rows are read by the LLM, compiled or not
        begin = time.perf_counter()
        masked = [mask(f, config.mask_share) for f in features]
        with torch.autocast("cpu", torch.bfloat16, enabled=halved(config)):
            loss = stage.loss(masked, rows)
        loss.backward()
        stage.module.zero_grad(set_to_none=True)
        taken.append(time.perf_counter() - begin)
    return taken[WARM_UP:]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("stage", type=Path, help="its YAML file")
    options.add_argument("--runs", type=Path, default=Path("runs"), help="folder of features, runs")
    options.add_argument("--steps", type=int, default=12, help="counted; the median counts")
    chosen = options.parse_args()
    torch.set_flush_denormal(True)
    torch.set_num_threads(chosen.threads)
    config = load_stage(chosen.stage)
    plain, compiled = (
        seconds(config.model_copy(update={"compile": fused}), chosen.runs, chosen.steps)
        for fused in (False, True)
    )
    ratios = [c / p for p, c in zip(plain, compiled, strict=True)]  # of the same batch
    row = {"as it is, s": median(plain), "compiled, s": median(compiled), "ratio": median(ratios)}
    show("A training step", [row])
    keep(chosen, {"rows": [row]})


if __name__ == "__main__":
    main()
