"""How long a pause has to be to end an utterance, from the probability that the speaker has
finished."""

from dataclasses import dataclass

import numpy as np

from streaming.config import Eagerness

CERTAIN = 0.9
"""Probability from which on nobody waits any longer."""

UNDECIDED = 0.5


@dataclass(frozen=True, slots=True)
class Patience:
    """Silent frames that end an utterance, by how likely it is over; between these probabilities
    they are interpolated."""

    sure: float
    """Probability from which on it counts as over: there, the wait becomes short at once."""

    certain: int
    """Frames from `CERTAIN` on."""

    likely: int
    """At `sure`."""

    unsure: int
    """Just below."""

    undecided: int
    """At `UNDECIDED`."""

    unlikely: int
    """At 0."""


PATIENCE: dict[Eagerness, Patience] = {
    "high": Patience(0.6, 10, 16, 25, 30, 50),
    "medium": Patience(0.76, 10, 16, 40, 50, 75),
    "low": Patience(0.8, 16, 25, 50, 75, 150),
}
"""By eagerness. Medium was chosen with `lab.training.ends --choose`: at most 5 % of the pauses
inside what real people say are cut short."""


def hangover(finished: float, eagerness: Eagerness) -> int:
    """Silent frames that end an utterance.

    Args:
        finished: the probability that the speaker has finished, 0 to 1.
        eagerness: how soon to answer; auto: medium.
    """
    wait = PATIENCE["medium" if eagerness == "auto" else eagerness]
    if finished >= wait.sure:
        frames = np.interp(finished, (wait.sure, CERTAIN), (wait.likely, wait.certain))
    else:
        levels = wait.unlikely, wait.undecided, wait.unsure
        frames = np.interp(finished, (0, UNDECIDED, wait.sure), levels)
    return round(float(frames))
