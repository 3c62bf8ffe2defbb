"""The steps of a recipe: what each makes, where that lies, and what it needs.

A step's digest stands for its settings and for the digests of the steps it needs. So a folder under
`runs/` holds what it is named after, whatever the recipe was changed to in between; and what two
recipes have in common is made once.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from assistant.config import ModelConfig
from lab.corpora.corpus import ROWS, CorpusConfig
from lab.features import Kind
from lab.recipe.recipe import WEIGHTS, RunConfig, ShipConfig, TaggerConfig
from lab.training.run import BEATS, STATE, TAGGER

CARD = "made.json"
"""File of a step that is done: what it was made from, and how long it took."""


@dataclass(frozen=True, eq=False, repr=False)
class Step(ABC):
    """Something that is made once."""

    name: str
    """What the recipe calls it."""

    runs: Path
    """The folder of everything that is made."""

    digest: str

    needs: tuple["Step", ...]
    """What has to be there before it."""

    @property
    @abstractmethod
    def folder(self) -> str:
        """Of its kind, under the folder of everything."""

    @cached_property
    def place(self) -> Path:
        """Where it lies: in a folder that ends with its digest, whatever it was called then."""
        parent = self.runs / self.folder
        found = sorted(parent.glob(f"*-{self.digest}"))
        return found[0] if found else parent / f"{self.name}-{self.digest}"

    @property
    def card(self) -> Path:
        """The file that says that it is done."""
        return self.place / CARD

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.card.is_file()

    @property
    def units(self) -> int | None:
        """How much work it is, in what its `rate` counts; None: not known before."""
        return None

    @property
    def rate(self) -> str:
        """Steps with the same one take as long for a unit."""
        return self.folder


@dataclass(frozen=True, eq=False, repr=False)
class Recordings(Step):
    """The recordings of a corpus, and their manifest."""

    corpus: CorpusConfig
    of: tuple["Recordings", ...]
    model: ModelConfig
    """The preset whose LLM makes rows of kinds that an LLM makes."""

    folder = "data"

    @property
    def rows_alone(self) -> bool:
        """Whether it is rows about the recordings of another corpus."""
        return self.corpus.kind in ROWS

    @property
    def manifest(self) -> Path:
        """Among its recordings; that of rows alone is beside the recordings they are about."""
        if self.rows_alone:
            return self.of[0].place / f"{self.place.name}.jsonl"
        return self.place / "manifest.jsonl"

    @property
    def units(self) -> int | None:
        """See `Step`."""
        return self.corpus.count

    @property
    def rate(self) -> str:
        """See `Step`."""
        return f"data {self.corpus.kind}"


@dataclass(frozen=True, eq=False, repr=False)
class Features(Step):
    """What an ear hears of a corpus: the features of its recordings."""

    recordings: Recordings
    model: ModelConfig
    kind: Kind
    encoder: "Run | None"
    """Whose audio encoder hears; None: the preset's own."""

    base: "Features | Transcripts | None" = None
    """Rows alone: the features of the recordings they are about."""

    folder = "features"

    @property
    def units(self) -> int | None:
        """See `Step`."""
        return self.recordings.corpus.count

    @property
    def rate(self) -> str:
        """See `Step`."""
        return f"features {self.kind}"


@dataclass(frozen=True, eq=False, repr=False)
class Transcripts(Step):
    """What Whisper's decoder reads of a corpus."""

    features: Features
    count: int
    folder = "features"

    @property
    def model(self) -> ModelConfig:
        """The preset that reads."""
        return self.features.model

    @property
    def encoder(self) -> "Run | None":
        """Whose audio encoder hears."""
        return self.features.encoder

    @property
    def units(self) -> int | None:
        """See `Step`."""
        return self.count

    @property
    def rate(self) -> str:
        """See `Step`."""
        return "transcripts"


Store = Features | Transcripts
"""What training reads of a corpus."""


@dataclass(frozen=True, eq=False, repr=False)
class Run(Step):
    """A run of training."""

    config: RunConfig
    model: ModelConfig
    encoder: "Run | None"
    stores: dict[str, Store]
    """For each corpus it names what it reads."""

    earlier: "Run | Mean | None"
    held_out: tuple[Recordings, ...]
    """Corpora that report: it may share nothing with them."""

    folder = "trained"

    @property
    def state(self) -> Path:
        """The trained tensors."""
        return self.place / STATE

    @property
    def units(self) -> int | None:
        """See `Step`."""
        steps = self.config.stop or self.config.steps
        return None if steps is None else steps * self.config.batch

    @property
    def rate(self) -> str:
        """See `Step`."""
        return f"run {self.config.stage}"


@dataclass(frozen=True, eq=False, repr=False)
class Mean(Step):
    """The mean of several runs."""

    parts: tuple[tuple["Run | Mean", float], ...]
    folder = "trained"

    @property
    def state(self) -> Path:
        """The mean of their tensors."""
        return self.place / STATE


@dataclass(frozen=True, eq=False, repr=False)
class Tagger(Step):
    """A sound tagger of spans."""

    config: TaggerConfig
    model: ModelConfig
    stores: dict[str, Store]
    held_out: tuple[Recordings, ...]
    folder = "trained"


@dataclass(frozen=True, eq=False, repr=False)
class Ship(Step):
    """The files that ship."""

    config: ShipConfig
    model: ModelConfig
    files: dict[str, "Run | Mean | Tagger"]
    folder = "shipped"


FILES = {WEIGHTS: STATE, BEATS: BEATS, TAGGER: TAGGER}
"""Files that ship, and what they are made of in the folder of a step."""
