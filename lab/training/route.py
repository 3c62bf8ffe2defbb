"""Trains a tool router: whether what was said calls for a tool of ours, by an LLM's last layer.

    python -m lab.training.route OUT [--preset small] [--data ../shared/data]

Requests of two corpora and of `lab/corpora/wishes.yaml` are read under the preset's own
instruction, some after another turn, some with sounds around them: logistic regression of what the
last layer then holds. A split of clinc/oos-eval and the first half of `lab/evaluation/tools.yaml`
(`lab.evaluation.tools`) chose.
"""

import argparse
import random
from collections.abc import Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.progress import track
from torch import Tensor

from assistant.ear.noticing import Sound
from assistant.files.presets import load_preset, shipped_config
from assistant.llm.router import Router, save_router
from assistant.model import Salmonn, load
from assistant.prompt.items import Item, Said, Spoken, System
from assistant.prompt.prompt import instruction
from assistant.prompt.render import Renderer
from lab.corpora.requests import choosing, training

SEED = 0

DECAY = 1e-2
"""Weight of the squared weights, of standardised numbers. 0.001 to 0.03 differ by one or two of
the requests that choose."""

AFTER, AMONG = 0.3, 0.2
"""Share of requests after another turn, and with a sound around them."""

BEFORE = [
    ("What is the capital of Greece?", "The capital of Greece is Athens."),
    ("I had a long day.", "I hope you get some rest."),
    ("Set a timer for ten minutes.", "Your timer is set for 10 minutes."),
    ("What was that noise?", "I heard a dog barking."),
    ("How do I cook rice?", "Boil it for about 12 minutes."),
    ("What time is it?", "It is 4:20 pm."),
    ("Turn the light on.", "I can't do that. I can only talk."),
]
"""Turns that may stand before a request."""

SOUNDS = ["dog barking", "door bell", "rain", "keyboard typing", "music", "baby crying"]

NOW = 160_000
"""Sample at which a request is over."""


class Reader:
    """Reads requests as a preset does."""

    def __init__(self, model: Salmonn) -> None:
        """`model`: of a preset that reads words."""
        self._llm, self._render = model.llm, Renderer(model.llm, model.prompt)
        self._words = instruction(None, None, None, model.config.prompt.default_task)
        standing = model.standing
        assert standing is not None, "a preset that reads words has an instruction"
        self._cache = standing[1]

    def _spoken(self, text: str, sounds: tuple[Sound, ...] = ()) -> Spoken:
        return Spoken(0, self._words, (), 0, transcript=text, sounds=sounds, until=NOW)

    def varied(self, text: str, draw: random.Random) -> list[Item]:
        """A request, maybe after another turn, and maybe with a sound."""
        before: list[Item] = []
        if draw.random() < AFTER:
            asked, said = draw.choice(BEFORE)
            before = [self._spoken(asked), Said(0, tuple(self._llm.ids(said)))]
        sounds: tuple[Sound, ...] = ()
        if draw.random() < AMONG:
            end = draw.choice([130_000, 150_000, 159_000])
            sounds = (Sound(100_000, end, draw.choice(SOUNDS), 0.9),)
        return [*before, self._spoken(text, sounds)]

    def plain(self, text: str) -> list[Item]:
        """A request alone."""
        return [self._spoken(text)]

    def last(self, items: list[Item]) -> Tensor:
        """What the LLM's last layer holds where the reply would begin, (LLM width,)."""
        _, *pieces = self._render.render([System(self._words), *items], answered=True)
        cache = self._cache.fork()
        cache.extend(self._llm.embed([token for piece in pieces for token in piece.ids]))
        return cache.last.float()


def fit(read: Tensor, calls: Tensor, decay: float = DECAY) -> Router:
    """Logistic regression.

    Args:
        read: what the last layer holds, (requests, LLM width).
        calls: 1 where a tool is called for, 0 where not, (requests,).
        decay: weight of the squared weights.
    """
    mean, spread = read.mean(0), read.std(0) + 1e-3
    standard = (read - mean) / spread
    weight, bias = torch.zeros(read.shape[1]), torch.zeros(1)
    optimizer = torch.optim.LBFGS(
        [weight.requires_grad_(), bias.requires_grad_()], max_iter=200,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def loss() -> Tensor:
        optimizer.zero_grad()
        found = F.binary_cross_entropy_with_logits(standard @ weight + bias, calls)
        found = found + decay * weight.square().sum()
        found.backward()
        return found

    optimizer.step(loss)
    own = weight.detach() / spread
    return Router(own, float(bias.detach() - mean @ own))


def rates(router: Router, read: Iterable[Tensor], calls: Iterable[bool]) -> tuple[float, float]:
    """In percent: requests for a tool that are told as such, and others that are taken for one."""
    told: dict[bool, list[bool]] = {True: [], False: []}
    for one, does_call in zip(read, calls, strict=True):
        told[does_call].append(router.calls(one))
    found, taken = (100 * sum(told[kind]) / max(1, len(told[kind])) for kind in (True, False))
    return found, taken


def main() -> None:
    """Train, and say how well it tells."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--preset", default="small")
    arguments.add_argument("--data", type=Path, default=Path("../shared/data"))
    options = arguments.parse_args()
    _, config = load_preset(shipped_config(), options.preset)
    model = load(config.model_copy(update={"tool_router": None}))
    reader, draw, texts = Reader(model), random.Random(SEED), options.data / "text"
    rows = training(texts, draw)
    read = [reader.last(reader.varied(row.text, draw)) for row in track(rows, "reading")]
    router = fit(torch.stack(read), torch.tensor([float(row.calls) for row in rows]))
    part = choosing(texts, random.Random(SEED))
    chosen = [reader.last(reader.plain(row.text)) for row in track(part, "choosing")]
    found, taken = rates(router, chosen, [row.calls for row in part])
    print(f"{found:.1f} % of requests for a tool are told, {taken:.1f} % of others taken for one")
    save_router(router, model.llm, options.out)


if __name__ == "__main__":
    main()
