"""A toy to train: twelve recordings of three words told by their pitch, and short stages."""

from pathlib import Path

from assistant.config import ModelConfig
from lab.training.config import StageConfig
from lab.training.run import STATE, run_stage

WORDS = ["on", "off", "up"]


def stage(kind: str, epochs: int, **changes: object) -> StageConfig:
    """A stage on the store `all`."""
    values = {
        "stage": kind, "train": {"all": 1.0}, "watch": {"all": 6}, "epochs": epochs, "batch": 4,
        "learning_rate": 0.01, "warmup_steps": 5, "threads": 1, "bfloat16": False,
    }  # fmt: skip
    return StageConfig.model_validate({**values, **changes})


def train(model: ModelConfig, config: StageConfig, runs: Path, name: str) -> Path:
    """Train in `runs/name` on stores of `runs/features`; the folder."""
    features = runs / "features"
    stores = {store.name: store for store in features.iterdir()}
    earlier = None if config.start_from is None else runs / config.start_from / STATE
    run_stage(model, config, runs / name, stores, earlier)
    return runs / name


def losses(run: Path) -> list[float]:
    """The losses in a run's log."""
    return [float(line.split(",")[1]) for line in (run / "log.csv").read_text().splitlines()[1:]]
