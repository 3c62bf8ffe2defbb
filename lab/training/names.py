"""The tagger of `small`: two layers that learn what each span holds from the mean and the maximum
of its features, and a logistic curve that makes probabilities of their scores.

Spans are those that are judged when a stream is heard (`WindowTagger.spans`). A class counts in a
span where it is heard for a while; where it is heard for a moment, or where the judges disagree
(`excerpts`), nothing is taught of it. A family counts where a
class of its own does. The curve and what a sound must score to be named are chosen on recordings of
their own.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.progress import track
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, dropout, gelu
from torch.optim.lr_scheduler import OneCycleLR

from assistant.config import ModelConfig
from assistant.ear.tagger import UNKNOWN_SOUND, WindowTagger
from assistant.parts.build import build_ear
from assistant.rates import FEATURE_SAMPLES, SAMPLE_RATE
from lab.classes import SoundClasses, sound_classes
from lab.corpora.excerpts import DOUBT
from lab.features import FeatureStore
from lab.manifest import Row

HIDDEN, DROPPED, DECAY = 512, 0.5, 0.1
"""Width of the first layer; part of its outputs, and twice that of its inputs, that is dropped
while it learns; decay of the weights (AdamW, Loshchilov and Hutter 2019)."""

MIXED = 0.3
"""Spans are mixed in pairs, by a share of Beta(MIXED, MIXED) (mixup, Zhang et al. 2018)."""

EPOCHS, BATCH, RATE, SEED = 20, 256, 1e-3, 0
"""How it learns; the rate rises for a tenth of the steps and falls after (Smith and Topin 2019)."""

RARE = -4.0
"""Logit of every class before anything is learned: few are heard in a span."""

LEAST_S, MOMENT_S = 0.12, 0.03
"""A class counts in a span where it is heard so long, and not at all up to the other."""

LEAST_SPREAD = 0.01
"""Added to what numbers are divided by."""

STEPS = 200
"""Of Newton's method, at most, for the curve."""

CARE = 0.3
"""Logits under the threshold in every span of nothing."""

WRONG_SHARE = 0.2
"""Part of the recordings of unknown sounds in `excerpts-choose` that may be given a name."""


@dataclass(frozen=True, slots=True)
class Taught:
    """Spans and what is heard in them."""

    pooled: Tensor
    """Mean and maximum of the features, (spans, 2 width)."""

    heard: Tensor
    """1 where a class is heard, 0 where not, NaN where nothing is taught, (spans, classes)."""

    weight: Tensor
    """Of each span, (spans,)."""


def new_tagger(since: int, width: int, window: int) -> WindowTagger:
    """A tagger of all classes, families and what is unknown, that has learned nothing."""
    known = sound_classes()
    families = {name: c.family for name, c in known.classes.items() if c.family}
    names = [*known.classes, *known.families, UNKNOWN_SOUND]
    return WindowTagger(names, since, width, families, window, HIDDEN)


def fit(tagger: WindowTagger, taught: Taught, epochs: int = EPOCHS) -> None:
    """Teach the tagger by gradient descent, the same way each time; spans of rare classes, and
    those of more weight, are seen more often."""
    present = taught.heard.nan_to_num(0.0)
    counts = (present * taught.weight[:, None]).sum(0) + 1
    rarity = torch.where(present > 0, counts.rsqrt(), 0.0).amax(1)
    rarity = torch.where(rarity > 0, rarity, counts.rsqrt().median())
    chance = (taught.weight * rarity).double()
    with torch.no_grad():
        tagger.mean.copy_(taught.pooled.mean(0))
        tagger.spread.copy_(taught.pooled.std(0) + LEAST_SPREAD)
        standard = tagger.standard(taught.pooled)
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        for layer in (tagger.inner, tagger.head):
            layer.reset_parameters()
        nn.init.constant_(tagger.head.bias, RARE)
        steps = math.ceil(len(standard) / BATCH)
        learned = [*tagger.inner.parameters(), *tagger.head.parameters()]
        optimizer = torch.optim.AdamW(learned, lr=RATE, weight_decay=DECAY)
        schedule = OneCycleLR(optimizer, RATE, total_steps=epochs * steps, pct_start=0.1)
        for _ in track(range(epochs), "Learning", transient=True):
            for rows in torch.multinomial(chance, steps * BATCH, replacement=True).split(BATCH):
                optimizer.zero_grad()
                loss(tagger, *mix(standard[rows], taught.heard[rows])).backward()
                optimizer.step()
                schedule.step()


def mix(standard: Tensor, heard: Tensor) -> tuple[Tensor, Tensor]:
    """Standardised spans (n, 2 width) and what is heard in them (n, classes), each with a share of
    another one's; what is not taught of one of a pair is not taught of both."""
    share = torch.distributions.Beta(MIXED, MIXED).sample((len(standard), 1))
    other = torch.randperm(len(standard))
    mixed = [share * own + (1 - share) * own[other] for own in (standard, heard)]
    return mixed[0], mixed[1]


def loss(tagger: WindowTagger, standard: Tensor, heard: Tensor) -> Tensor:
    """Cross-entropy of each class that is taught, summed over classes, of a span on average."""
    seen = dropout(standard, DROPPED / 2)
    scores = tagger.head(dropout(gelu(tagger.inner(seen)), DROPPED))
    each = binary_cross_entropy_with_logits(scores, heard.nan_to_num(0.0), reduction="none")
    return each[~heard.isnan()].sum() / len(heard)


def curve(scores: Tensor, there: Tensor) -> tuple[float, float]:
    """Slope and offset of the logistic curve of scores that fits what is there best, (n,) each."""
    parameters = torch.zeros(2, dtype=torch.float64)
    inputs = torch.stack([scores.double(), torch.ones(len(scores), dtype=torch.float64)], 1)
    for _ in range(STEPS):
        likely = (inputs @ parameters).sigmoid()
        slope = inputs.T @ (likely - there.double())
        bend = (inputs * (likely * (1 - likely))[:, None]).T @ inputs + 1e-6 * torch.eye(2)
        step = torch.linalg.solve(bend, slope)
        parameters -= step.clamp(-2, 2)
        if float(step.abs().max()) < 1e-8:
            break
    return float(parameters[0]), float(parameters[1])


def calibrate(tagger: WindowTagger, chosen: list[tuple[Tensor, str]]) -> None:
    """Make probabilities of the scores, and let classes begin where few unknown sounds do.

    Args:
        tagger: that `fit` has taught.
        chosen: the pooled spans of a recording, and what it is of.
    """
    classes, families = len(sound_classes().classes), len(sound_classes().families)
    groups = (slice(classes), slice(classes, classes + families), slice(classes + families, None))
    with torch.no_grad():
        scores = torch.stack([tagger.logits(pooled).amax(0) for pooled, _ in chosen])
        own = [{name, tagger.families.get(name, name)} for _, name in chosen]
        there = torch.tensor([[float(name in names) for name in tagger.names] for names in own])
        known = torch.tensor([name != UNKNOWN_SOUND for _, name in chosen])
        for group in groups:
            slope, offset = curve(scores[:, group].flatten(), there[:, group].flatten())
            tagger.head.weight[group] *= slope
            tagger.head.bias[group] = tagger.head.bias[group] * slope + offset
            scores[:, group] = scores[:, group] * slope + offset
        unknown = scores[~known, groups[0]].amax(1).sort(descending=True).values
        named = int(WRONG_SHARE * len(unknown))
        if named:  # so many of them may be
            tagger.head.bias[groups[0]] -= unknown[named - 1 : named + 1].mean()


def quieten(tagger: WindowTagger, still: Tensor) -> None:
    """Let nothing begin in spans in which nothing is heard, (spans, 2 width) pooled."""
    with torch.no_grad():
        tagger.head.bias.sub_((tagger.logits(still).amax(0) + CARE).clamp(min=0))


def read_taught(store: FeatureStore, weight: float, tagger: WindowTagger) -> Taught:
    """Spans of a store of pooled windows, those of a recording one after the other.

    Args:
        store: of rows of excerpts.
        weight: of its spans; where recordings have several, theirs together.
        tagger: whose names are looked for.
    """
    pooled, heard, weights = [], [], []
    window_s = tagger.window * FEATURE_SAMPLES / SAMPLE_RATE
    for i, row in enumerate(store.rows):
        windows = store.features(i)
        places = window_spans(tagger, len(windows))
        for since, until in places:
            pooled.append(pool_span(windows[since:until]))
            heard.append(heard_in(row, since * window_s, until * window_s, tagger))
            weights.append(weight / len(places) ** 0.5)
    return Taught(torch.stack(pooled), torch.stack(heard), torch.tensor(weights))


def window_spans(tagger: WindowTagger, windows: int) -> list[tuple[int, int]]:
    """The spans of a recording of so many windows: the first window and one past the last."""
    spans = tagger.spans(0, windows * tagger.window)
    return [(since // tagger.window, until // tagger.window) for since, until in spans]


def pool_spans(tagger: WindowTagger, windows: Tensor) -> Tensor:
    """Pooled windows of a recording (n, 2 width) -> those of its spans, (spans, 2 width)."""
    places = window_spans(tagger, len(windows))
    return torch.stack([pool_span(windows[since:until]) for since, until in places])


def pool_span(windows: Tensor) -> Tensor:
    """Pooled windows (n, 2 width) -> mean and maximum of all their features, (2 width,)."""
    mean, most = windows.chunk(2, 1)
    return torch.cat([mean.mean(0), most.amax(0)])


def heard_in(row: Row, since: float, until: float, tagger: WindowTagger) -> Tensor:
    """1, 0 or NaN for each class in seconds [since, until) of a row of excerpts, (classes,)."""
    known = sound_classes()
    seconds = dict.fromkeys(tagger.names, 0.0)
    own = {name for name, _, _ in spans(row)}
    own |= {tagger.families[name] for name in own if name in tagger.families}
    for name, begin, end in spans(row):
        seconds[name] += max(0.0, min(until, end) - max(since, begin))
    for name, family in tagger.families.items():
        seconds[family] = max(seconds[family], seconds[name])
    doubted = {n for name in doubts(row) for n in _relatives(name, known)} - own

    def taught(name: str) -> float:
        if name in doubted or MOMENT_S < seconds[name] < LEAST_S:
            return float("nan")
        return float(seconds[name] >= LEAST_S)

    return torch.tensor([taught(name) for name in tagger.names])


def spans(row: Row) -> list[tuple[str, float, float]]:
    """What is heard in a row of excerpts: name, and seconds from and to."""
    found = []
    for part in filter(None, row.key.split(";")):
        if not part.startswith(DOUBT):
            name, since, until = part.rsplit(" ", 2)
            found.append((name, float(since), float(until)))
    return found


def doubts(row: Row) -> list[str]:
    """Classes and families that may be heard in a row of excerpts, too."""
    return [part[len(DOUBT) :] for part in row.key.split(";") if part.startswith(DOUBT)]


def _relatives(name: str, known: SoundClasses) -> list[str]:
    """A class and its family, or a family and its classes; nothing of a name that is not known."""
    if name in known.families:
        return [name, *(n for n, c in known.classes.items() if c.family == name)]
    if name in known.classes:
        family = known.classes[name].family
        return [name, *([family] if family else [])]
    return []


def train_names(
    model: ModelConfig, stores: Mapping[Path, float], still: Path, choose: Path
) -> WindowTagger:
    """A tagger that is taught with features of pooled windows.

    Args:
        model: of the preset that it is for.
        stores: what it learns from, and the weight of a span of each; that of a recording is
            shared by the root of its spans.
        still: one of them: nothing may begin in its rows without a sound.
        choose: the recordings that choose the curve.
    """
    encoder = build_ear(model).speech_encoder
    since = encoder.own_width
    tagger = new_tagger(since, encoder.width - since, model.aligner.window_features)
    parts = [read_taught(FeatureStore(store), weight, tagger) for store, weight in stores.items()]
    fit(
        tagger,
        Taught(
            torch.cat([p.pooled for p in parts]),
            torch.cat([p.heard for p in parts]),
            torch.cat([p.weight for p in parts]),
        ),
    )
    quiet = FeatureStore(still)
    nothing = [
        pool_spans(tagger, quiet.features(i)) for i, row in enumerate(quiet.rows) if not row.text
    ]
    chosen = FeatureStore(choose)
    calibrate(
        tagger,
        [(pool_spans(tagger, chosen.features(i)), row.key) for i, row in enumerate(chosen.rows)],
    )
    if nothing:
        quieten(tagger, torch.cat(nothing))
    return tagger.eval()
