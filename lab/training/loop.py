"""The training loop: order, schedule, checkpoints, log. What is learned is a `Stage`'s business."""

import csv
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from assistant.numerics.half import fast_half
from lab.features import FeatureStore
from lab.manifest import Row
from lab.training.batches import batches, epoch_rows
from lab.training.config import StageConfig

LOG_EVERY = 20
"""Steps per line of the log."""


class Stage(Protocol):
    """What a stage of training computes."""

    module: nn.Module
    """Its trainable parameters are trained and saved."""

    def loss(self, features: list[Tensor], rows: list[Row]) -> Tensor:
        """Mean loss of a batch; features[i] is (n_i, width)."""

    def figures(self, stores: dict[str, FeatureStore], counts: dict[str, int]) -> dict[str, float]:
        """Figures on held-out rows."""


class Corpus:
    """Several feature stores as one list of rows."""

    def __init__(self, stores: list[FeatureStore], times: list[float]) -> None:
        """`times`: how often each store is heard per epoch."""
        self._places = [(s, i) for s in stores for i in range(len(s))]
        self._lengths = [store.length(i) for store, i in self._places]
        self._sizes, self._times = [len(s) for s in stores], times

    def batches(self, config: StageConfig, epoch: int) -> list[list[int]]:
        """Row indices of each step of an epoch."""
        rows = epoch_rows(self._sizes, self._times, config.seed, epoch)
        return batches(rows, self._lengths, config.batch, config.seed, epoch)

    def take(self, order: list[list[int]]) -> Iterator[tuple[list[Tensor], list[Row]]]:
        """Features and rows of each batch; the next one is read from disk meanwhile."""
        with ThreadPoolExecutor(1) as reader:
            coming = [reader.submit(self._batch, indices) for indices in order[:1]]
            for i in range(len(order)):
                batch = coming.pop().result()
                coming += [reader.submit(self._batch, ahead) for ahead in order[i + 1 : i + 2]]
                yield batch

    def _batch(self, indices: list[int]) -> tuple[list[Tensor], list[Row]]:
        places = [self._places[i] for i in indices]
        return [s.features(i) for s, i in places], [s.rows[i] for s, i in places]


def mask(features: Tensor, share: float) -> Tensor:
    """Silence about `share` of the features in short spans (SpecAugment's time masks, Park 2019).

    Args:
        features: shape (n, width).
        share: expected part masked, 0 to 1.
    """
    span = 6  # features, 120 ms: less than a word
    starts = torch.rand(len(features)) < share / span
    covered = F.max_pool1d(F.pad(starts.float(), (span - 1, 0))[None], span, 1)[0] > 0
    return features.masked_fill(covered[:, None], 0.0)


def drop_audio(features: Tensor, speech_width: int, share: float) -> Tensor:
    """With probability `share`, the features with those of the audio encoder silenced.

    Args:
        features: shape (n, speech width + audio width).
        speech_width: of the speech encoder's.
        share: 0 to 1.
    """
    if float(torch.rand(())) >= share:
        return features
    return F.pad(features[:, :speech_width], (0, features.shape[1] - speech_width))


class Lead:
    """Backgrounds to be put before recordings; see `LeadConfig`."""

    def __init__(self, store: FeatureStore, share: float, features: int, window: int) -> None:
        """`features`: of the longest lead; `window`: of one window, whole ones are put."""
        self._store, self._share = store, share
        self._most, self._window = features // window, window

    def before(self, features: Tensor) -> Tensor:
        """`features` (n, width), or a lead and then them."""
        if float(torch.rand(())) >= self._share:
            return features
        wanted = int(torch.randint(1, self._most + 1, ())) * self._window
        lead = self._store.features(int(torch.randint(len(self._store), ())))
        return torch.cat([lead[len(lead) % self._window :][:wanted], features])


def halved(config: StageConfig) -> bool:
    """Whether the stage multiplies in bf16."""
    return config.bfloat16 and fast_half()


def trainable(module: nn.Module) -> dict[str, Tensor]:
    """The tensors that training changes, by name."""
    return {k: v for k, v in module.named_parameters() if v.requires_grad}


def learning_rate(step: int, total: int, config: StageConfig) -> float:
    """Linear warm-up, then a cosine down to a hundredth."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, total - config.warmup_steps)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def planned(step: int, total: int, config: StageConfig) -> int:
    """Steps that the run was to have when `step` was done; `total` is what it has in the end."""
    return next((before.steps for before in config.replanned if step < before.until), total)


def train(
    stage: Stage,
    corpus: Corpus,
    watch: dict[str, FeatureStore],
    config: StageConfig,
    run: Path,
    lead: Lead | None = None,
    speech_width: int = 0,
) -> None:
    """Train, or go on training, in folder `run`.

    Args:
        stage: what is trained.
        corpus: what it is trained on.
        watch: what its figures are of.
        config: of the stage.
        run: folder of its state; one that was begun has to be given the same settings.
        lead: what is put before recordings.
        speech_width: of the speech encoder's features, which `audio_dropout` leaves.

    `run` receives `state.pt` (everything needed to go on), `log.csv` (mean loss every 20 steps)
    and `figures.csv` (one line per epoch).
    """
    run.mkdir(parents=True, exist_ok=True)
    parameters = trainable(stage.module)
    plain = [p for p in parameters.values() if p.ndim < 2]
    matrices = [p for p in parameters.values() if p.ndim >= 2]
    optimiser = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": config.weight_decay},
         {"params": plain, "weight_decay": 0.0}],
        lr=config.learning_rate, betas=(0.9, 0.98),
    )  # fmt: skip
    per_epoch = len(corpus.batches(config, 0))
    total = min(per_epoch * config.epochs, config.steps or 2**31)
    end = min(total, config.stop or total)
    state = run / "state.pt"
    step = _resume(state, parameters, optimiser) if state.exists() else 0
    _rewind(run / "log.csv", step)
    saved = time.monotonic()
    with _progress() as progress:
        bar = progress.add_task(run.name, total=end, completed=step, figures="")
        for epoch in range(max(0, step - 1) // per_epoch, -(-end // per_epoch)):
            order = corpus.batches(config, epoch)
            losses: list[float] = []
            left = order[step - epoch * per_epoch : end - epoch * per_epoch]
            for features, rows in corpus.take(left):
                torch.manual_seed(config.seed * 1_000_003 + step)  # dropout, the same on resume
                for group in optimiser.param_groups:
                    group["lr"] = learning_rate(step, planned(step, total, config), config)
                features = [mask(f, config.mask_share) for f in features]
                if lead is not None:
                    features = [lead.before(f) for f in features]
                if config.audio_dropout:
                    features = [drop_audio(f, speech_width, config.audio_dropout) for f in features]
                with torch.autocast("cpu", torch.bfloat16, enabled=halved(config)):
                    loss = stage.loss(features, rows)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(parameters.values(), config.clip_norm)
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
                step += 1
                losses.append(float(loss.detach()))
                if step % LOG_EVERY == 0:
                    mean = sum(losses[-LOG_EVERY:]) / len(losses[-LOG_EVERY:])
                    _append(run / "log.csv", {"step": step, "loss": mean})
                    progress.update(bar, completed=step, figures=f"loss {mean:.3f}")
                if time.monotonic() - saved > 60 * config.checkpoint_minutes:
                    _save(state, parameters, optimiser, step)
                    saved = time.monotonic()
            _save(state, parameters, optimiser, step)
            if str(epoch + 1) not in _first_column(run / "figures.csv"):
                stage.module.eval()
                with (
                    torch.no_grad(),
                    _uncompiled(config),
                    torch.autocast("cpu", torch.bfloat16, enabled=halved(config)),
                ):
                    figures = stage.figures(watch, config.watch)
                stage.module.train()
                _append(run / "figures.csv", {"epoch": epoch + 1, "step": step, **figures})
                progress.console.print(f"epoch {epoch + 1}: {figures}")


def _uncompiled(config: StageConfig) -> AbstractContextManager[Any]:
    """Figures read token by token: other shapes than those that were compiled."""
    return torch.compiler.set_stance("force_eager") if config.compile else nullcontext()


def _progress() -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    return Progress(*columns, TimeRemainingColumn(), TextColumn("{task.fields[figures]}"))


def _save(
    path: Path, parameters: dict[str, Tensor], optimiser: torch.optim.Optimizer, step: int
) -> None:
    content = {
        "parameters": {k: v.detach() for k, v in parameters.items()},
        "optimiser": optimiser.state_dict(),
        "step": step,
    }
    fresh = path.with_suffix(".new")
    torch.save(content, fresh)
    fresh.rename(path)  # a session may end at any moment; the old state stays whole until now


def _resume(path: Path, parameters: dict[str, Tensor], optimiser: torch.optim.Optimizer) -> int:
    content: dict[str, Any] = torch.load(path, weights_only=True)
    with torch.no_grad():
        for name, tensor in parameters.items():
            tensor.copy_(content["parameters"][name])
    optimiser.load_state_dict(content["optimiser"])
    return int(content["step"])


def _append(path: Path, line: dict[str, float]) -> None:
    fresh = not path.exists()
    with path.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(line))
        if fresh:
            writer.writeheader()
        writer.writerow({k: round(v, 5) for k, v in line.items()})


def _first_column(path: Path) -> list[str]:
    if not path.exists():
        return []
    return [line.split(",")[0] for line in path.read_text().splitlines()]


def _rewind(log: Path, step: int) -> None:
    """Drop the lines of steps that will be done again."""
    if log.exists():
        head, *lines = log.read_text().splitlines()
        kept = [line for line in lines if int(line.split(",")[0]) <= step]
        log.write_text("\n".join([head, *kept]) + "\n")
