"""Trains the judgement whether a speaker has finished, on the pauses of `lab.training.pauses`.

    python -m lab.training.ends [--pauses runs/turn_ends/small] [--to FILE] [--choose]

A logistic regression tells the pauses that recordings end with from those inside them. A pause
counts as cut short if it lasted 0.4 to 1.0 s and its hangover was shorter; the delay is the
hangover of the pause at the end. Figures are of the speakers and texts that report; with --choose,
of those that choose. Readers of LibriSpeech read long texts, which were cut into recordings where
they paused: there, an end is a pause like any other, so it takes no part.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assistant.end_of_turn import MARKS, EndOfTurn, save_end_of_turn
from streaming.audio.hangover import hangover
from streaming.config import Eagerness

READ_ON = "librispeech"
"""Whose ends are none."""

SHORTEST_S, LONGEST_S = 0.4, 1.0
"""Pauses that are judged by whether they were cut short."""

FEATURE_DECAY, MARK_DECAY = 0.2, 1e-3
"""L2 of the weights of standardised signs. 0.03 to 1 were tried; chosen on those that choose."""

FIXED_MS = (200, 300, 320, 400, 500, 600, 700, 800, 1000)
"""Hangovers without a judgement."""

FRAME_S = 0.02


@dataclass(frozen=True)
class Pauses:
    """Some pauses, side by side."""

    signs: Tensor
    """(n, signs)."""

    ended: NDArray[np.bool_]
    """The recording ends with it."""

    seconds: NDArray[np.float64]
    """How long each lasted; infinite where it ended."""

    spoken: NDArray[np.bool_]
    """By a synthetic voice."""

    part: NDArray[np.str_]
    """Its set: train, choose or report."""

    def of(self, part: str) -> "Pauses":
        """Those of one set."""
        chosen = self.part == part
        fields = self.ended, self.seconds, self.spoken, self.part
        return Pauses(self.signs[torch.from_numpy(chosen)], *(field[chosen] for field in fields))

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Those that must not be cut short."""
        return ~self.ended & (self.seconds >= SHORTEST_S) & (self.seconds <= LONGEST_S)


def read_pauses(folder: Path) -> Pauses:
    """What `lab.training.pauses` wrote, without what takes no part."""
    lines = (folder / "pauses.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["corpus"] != READ_ON]
    signs = np.stack([np.load(folder / "signs" / row["signs"]) for row in rows])
    lengths = [row["length"] for row in rows]
    return Pauses(
        torch.from_numpy(signs).float(),
        np.array([length is None for length in lengths]),
        np.array([np.inf if length is None else length / 16_000 for length in lengths]),
        np.array([row["corpus"].startswith("spoken-") for row in rows]),
        np.array([row["set"] for row in rows]),
    )


def train(pauses: Pauses, used: slice = slice(None)) -> EndOfTurn:
    """Fit the weights of some of the signs; the others have none.

    Args:
        pauses: of the training set; ends and others weigh the same together.
        used: which signs.
    """
    signs, ended = pauses.signs[:, used].double(), torch.from_numpy(pauses.ended).double()
    mean, spread = signs.mean(0), signs.std(0) + 1e-6
    scaled = (signs - mean) / spread
    share = ended.mean()
    each = torch.where(ended > 0, 0.5 / share, 0.5 / (1 - share))
    decay = torch.full((pauses.signs.shape[1],), FEATURE_DECAY).double()
    decay[-MARKS:] = MARK_DECAY
    decay = decay[used]
    weights = torch.zeros(signs.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        odds = scaled @ weights[1:] + weights[0]
        found: Tensor = torch.nn.functional.binary_cross_entropy_with_logits(odds, ended, each)
        found = found + (decay * weights[1:] ** 2).sum() / 2
        found.backward()
        return found

    optimiser.step(loss)
    found = weights.detach()
    all_weights = torch.zeros(pauses.signs.shape[1], dtype=torch.float64)
    all_weights[used] = found[1:] / spread
    bias = float(found[0] - (found[1:] * mean / spread).sum())
    return EndOfTurn(all_weights, bias, reads=True)


def probabilities(judge: EndOfTurn, pauses: Pauses) -> NDArray[np.float64]:
    """Of all pauses, that the speaker has finished."""
    return np.array([judge.probability(signs) for signs in pauses.signs])


def figures(pauses: Pauses, hangovers: NDArray[np.float64]) -> str:
    """Cuts and delays for a hangover in seconds for each pause, as a row of a table."""
    cut = pauses.inside & (hangovers < pauses.seconds)
    real, spoken = ~pauses.spoken, pauses.spoken
    shares = [100 * cut[pauses.inside & who].mean() for who in (real, spoken, real | spoken)]
    delays = 1000 * hangovers[pauses.ended]
    real_ends = 1000 * hangovers[pauses.ended & real]
    told = [f"{share:.1f}" for share in shares]
    told += [f"{np.median(some):.0f}" for some in (delays, real_ends)]
    return " | ".join([*told, f"{delays.mean():.0f}", f"{np.percentile(delays, 90):.0f}"])


def by_eagerness(chances: NDArray[np.float64], eagerness: Eagerness) -> NDArray[np.float64]:
    """Hangovers in seconds."""
    return np.array([FRAME_S * hangover(chance, eagerness) for chance in chances])


def area(pauses: Pauses, chances: NDArray[np.float64]) -> str:
    """How well ends are told from pauses inside: areas under the curve, of real and of synthetic
    speech, and the share of ends that are told where 5 % of the others are taken for one."""
    told = []
    for who in (~pauses.spoken, pauses.spoken):
        ends, others = chances[pauses.ended & who], chances[pauses.inside & who]
        told.append(f"{(ends[:, None] > others).mean():.3f}")
    limit = np.quantile(chances[pauses.inside], 0.95)
    return " | ".join([*told, f"{100 * (chances[pauses.ended] > limit).mean():.0f}"])


HEAD = """
| | cut short, real, % | synthetic | all | median delay, ms | of real speech | mean | 90 % |
|---|---|---|---|---|---|---|---|"""


def main() -> None:
    """Train, print what it comes to, and write the weights."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pauses", type=Path, default=Path("runs/turn_ends/small"))
    options.add_argument("--to", type=Path)
    options.add_argument("--choose", action="store_true")
    chosen = options.parse_args()
    pauses = read_pauses(chosen.pauses)
    learnt, shown = pauses.of("train"), pauses.of("choose" if chosen.choose else "report")
    print(f"{len(learnt.ended)} pauses to learn from, {learnt.ended.sum()} of them ends")
    print(f"shown: {shown.ended.sum()} ends, {shown.inside.sum()} pauses of 0.4 to 1.0 s inside, ")
    print(f"of them {(shown.inside & ~shown.spoken).sum()} of real people\n")
    print("| signs | area, real | synthetic | ends told, % |\n|---|---|---|---|")
    for name, used in {
        "the mark": slice(-MARKS, None),
        "features": slice(0, -MARKS),
        "both": slice(None),
    }.items():
        judge = train(learnt, used)
        print(f"| {name} | {area(shown, probabilities(judge, shown))} |")
    print(HEAD)
    for milliseconds in FIXED_MS:
        fixed = np.full(len(shown.ended), milliseconds / 1000)
        print(f"| {milliseconds} ms | {figures(shown, fixed)} |")
    chances = probabilities(judge, shown)
    for eagerness in ("high", "medium", "low"):
        print(f"| {eagerness} | {figures(shown, by_eagerness(chances, eagerness))} |")
    if chosen.to is not None:
        save_end_of_turn(judge, chosen.to)


if __name__ == "__main__":
    main()
