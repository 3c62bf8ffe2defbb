"""What `compile: true` saves of a training step.

    python -m bench.training lab/recipes/shipped.yaml words-read --runs runs [--steps 12]

The same batches, forward and backward, through a run's stage as it is and compiled, from the same
weights. Needs the features that the run hears and what it starts from; nothing is written there.
"""

import time
from pathlib import Path
from statistics import median

import torch

from assistant.errors import ConfigError
from assistant.files.presets import shipped_config
from bench.common import keep, parser, show
from lab.features import FeatureStore
from lab.recipe.graph import steps_of
from lab.recipe.recipe import load_recipe
from lab.recipe.steps import Run
from lab.training.config import StageConfig
from lab.training.loop import Corpus, halved, mask
from lab.training.run import build_stage
from streaming.config_file import load_config

WARM_UP = 6
"""Steps not counted: lengths of all kinds are compiled for."""


def find(recipe: Path, name: str, runs: Path) -> Run:
    """A run of a recipe.

    Raises:
        ConfigError: it is none, or something it needs is not there.
    """
    steps = steps_of(
        load_recipe(recipe), lambda preset: load_config(shipped_config(), preset).model, runs,
        [name],
    )  # fmt: skip
    *needed, run = steps
    if not isinstance(run, Run):
        raise ConfigError(f"{name}: is no run of {recipe}")
    if missing := [step.name for step in needed if not step.done]:
        raise ConfigError(f"{name}: first make {', '.join(missing)}, with `salmonn-live train`")
    return run


def seconds(run: Run, config: StageConfig, steps: int) -> list[float]:
    """Of each counted step."""
    torch.manual_seed(config.seed)
    stores = [FeatureStore(run.stores[name].place) for name in config.train]
    texts = [row.text for store in stores for row in store.rows]
    earlier = None if run.earlier is None else run.earlier.state
    stage = build_stage(run.model, config, texts, earlier)
    stage.module.train()
    corpus = Corpus(stores, list(config.train.values()))
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
    options.add_argument("recipe", type=Path)
    options.add_argument("run", help="its name in the recipe")
    options.add_argument(
        "--runs", type=Path, default=Path("runs"), help="folder of all that is made"
    )
    options.add_argument("--steps", type=int, default=12, help="counted; the median counts")
    chosen = options.parse_args()
    torch.set_flush_denormal(True)
    torch.set_num_threads(chosen.threads)
    run = find(chosen.recipe, chosen.run, chosen.runs)
    plain, compiled = (
        seconds(run, run.config.model_copy(update={"compile": fused}), chosen.steps)
        for fused in (False, True)
    )
    ratios = [c / p for p, c in zip(plain, compiled, strict=True)]  # of the same batch
    row = {"as it is, s": median(plain), "compiled, s": median(compiled), "ratio": median(ratios)}
    show("A training step", [row])
    keep(chosen, {"rows": [row]})


if __name__ == "__main__":
    main()
