"""From a recipe to its steps: each is made once, after those it needs, and named by its content."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, cast

from assistant.config import ModelConfig
from assistant.errors import ConfigError
from lab.naming import digest
from lab.recipe.material import READS
from lab.recipe.recipe import (
    RecipeConfig,
    needed_by,
)
from lab.recipe.steps import Features, Mean, Recordings, Run, Ship, Step, Store, Tagger, Transcripts

Made = TypeVar("Made", bound=Step)

NOT_LEARNED = {
    "ear", "minutes", "machine", "otherwise", "threads", "checkpoint_minutes", "watch", "compile",
    "train", "lead", "start_from",
}  # fmt: skip
"""Keys of a run that decide nothing of what is learned, or that its digest has in other words."""


class Graph:
    """Makes the steps of a recipe; each is made once, after those it needs."""

    def __init__(
        self, recipe: RecipeConfig, preset: Callable[[str], ModelConfig], runs: Path
    ) -> None:
        """Args:
        recipe: valid.
        preset: the model of a preset, by its name.
        runs: the folder of everything that is made.
        """
        self._recipe, self._preset, self._runs = recipe, preset, runs
        self._known: dict[tuple[str, ...], Step] = {}
        self.steps: dict[tuple[str, str], Step] = {}
        """In an order in which they can be done, by folder and digest."""

    def add(self, name: str) -> Step:
        """The step that makes what the recipe calls `name`, and all that it needs."""
        recipe = self._recipe
        if name in recipe.corpora:
            return self._recordings(name)
        if name in recipe.taggers:
            return self._tagger(name)
        return self._ship(name) if name in recipe.ships else self._trained(name)

    def _once(self, key: tuple[str, ...], make: Callable[[], Made]) -> Made:
        """The step that `key` stands for; of two with the same content the one that was first."""
        if key not in self._known:
            step = make()
            self._known[key] = self.steps.setdefault((step.folder, step.digest), step)
        return cast(Made, self._known[key])

    def _recordings(self, name: str) -> Recordings:
        def make() -> Recordings:
            corpus = self._recipe.corpora[name]
            of = tuple(map(self._recordings, corpus.of))
            model = self._preset(self._recipe.preset)
            material = {n: self._recipe.material.get(n) for n in READS[corpus.kind]}
            settings = corpus.model_dump(mode="json", exclude={"of", "transcribe"})
            told = corpus.kind in ("replies", "stories")
            by = model.llm.model_dump(mode="json") if told else None
            made_of = digest("recordings", settings, material, [o.digest for o in of], by)
            return Recordings(name, self._runs, made_of, of, corpus, of, model)

        return self._once(("data", name), make)

    def _store(self, name: str, ear: str) -> Store:
        count, kind = self._recipe.corpora[name].transcribe, self._recipe.ears[ear].features

        def make() -> Transcripts:
            features = self._features(name, ear)
            made_of = digest("transcripts", features.digest, count)
            return Transcripts(name, self._runs, made_of, (features,), features, count)

        if not count or kind != "encoders":
            return self._features(name, ear)
        return self._once(("transcripts", name, ear), make)

    def _features(self, name: str, ear: str) -> Features:
        def make() -> Features:
            config, recordings = self._recipe.ears[ear], self._recordings(name)
            model, encoder = self._preset(config.preset), self._encoder(ear)
            base = self._store(recordings.corpus.of[0], ear) if recordings.rows_alone else None
            settings = model.model_dump(
                mode="json",
                include={"speech_encoder", "audio_encoder", "encoding"},
                exclude={"encoding": {"dtype"}},  # features have their own number format
            )
            if encoder is not None:
                settings["audio_encoder"] = encoder.digest
            settings["window_features"] = model.aligner.window_features
            made_of = digest(
                "features", recordings.digest, config.features, settings, base and base.digest
            )
            needs = tuple(step for step in (recordings, encoder, base) if step is not None)
            return Features(
                name, self._runs, made_of, needs, recordings, model, config.features, encoder, base
            )

        return self._once(("features", name, ear), make)

    def _encoder(self, ear: str) -> Run | None:
        name = self._recipe.ears[ear].audio_encoder
        return None if name is None else self._run(name)

    def _trained(self, name: str) -> Run | Mean:
        return self._mean(name) if name in self._recipe.means else self._run(name)

    def _run(self, name: str) -> Run:
        def make() -> Run:
            config = self._recipe.runs[name]
            model = self._preset(self._recipe.ears[config.ear].preset)
            lead = [config.lead.store] if config.lead else []
            stores = {n: self._store(n, config.ear) for n in (*config.train, *config.watch, *lead)}
            encoder = self._encoder(config.ear)
            earlier = None if config.start_from is None else self._trained(config.start_from)
            settings = config.model_dump(mode="json", exclude=NOT_LEARNED)
            settings["train"] = [[stores[n].digest, times] for n, times in config.train.items()]
            if config.lead is not None:
                lead_of = stores[config.lead.store].digest
                settings["lead"] = [lead_of, config.lead.share, config.lead.windows]
            learner = model.model_dump(mode="json", include={"aligner", "llm", "prompt"})
            made_of = digest(
                "run", settings, learner, encoder and encoder.digest, earlier and earlier.digest
            )
            held_out = self._reports(name)
            needs = [*stores.values(), encoder, earlier, *held_out]
            return Run(
                name, self._runs, made_of, tuple(n for n in needs if n is not None), config, model,
                encoder, stores, earlier, held_out,
            )  # fmt: skip

        return self._once(("run", name), make)

    def _mean(self, name: str) -> Mean:
        def make() -> Mean:
            shares = self._recipe.means[name].items()
            parts = tuple((self._trained(n), share) for n, share in shares)
            made_of = digest("mean", [[part.digest, share] for part, share in parts])
            return Mean(name, self._runs, made_of, tuple(part for part, _ in parts), parts)

        return self._once(("mean", name), make)

    def _tagger(self, name: str) -> Tagger:
        def make() -> Tagger:
            config = self._recipe.taggers[name]
            model = self._preset(self._recipe.ears[config.ear].preset)
            names = (*config.train, config.still, config.choose)
            stores = {n: self._store(n, config.ear) for n in names}
            made_of = digest(
                "tagger", [[stores[n].digest, weight] for n, weight in config.train.items()],
                stores[config.still].digest, stores[config.choose].digest,
            )  # fmt: skip
            held_out = self._reports(name)
            needs = (*stores.values(), *held_out)
            return Tagger(name, self._runs, made_of, needs, config, model, stores, held_out)

        return self._once(("tagger", name), make)

    def _ship(self, name: str) -> Ship:
        def make() -> Ship:
            config = self._recipe.ships[name]
            files: dict[str, Run | Mean | Tagger] = {}
            for file, shipped in config.files.items():
                tags = shipped.of in self._recipe.taggers
                files[file] = self._tagger(shipped.of) if tags else self._trained(shipped.of)
            card = None if config.card is None else config.card.model_dump(mode="json")
            made_of = digest("ship", {file: step.digest for file, step in files.items()}, card)
            model = self._preset(config.preset)
            return Ship(name, self._runs, made_of, tuple(files.values()), config, model, files)

        return self._once(("ship", name), make)

    def _reports(self, name: str) -> tuple[Recordings, ...]:
        """The corpora that report of anything that comes from `name`."""
        recipe = self._recipe
        names = {
            corpus: None
            for ship, config in recipe.ships.items()
            if name in needed_by(recipe, ship)
            for corpus in config.report
        }
        return tuple(map(self._recordings, names))


def steps_of(
    recipe: RecipeConfig,
    preset: Callable[[str], ModelConfig],
    runs: Path,
    wanted: Sequence[str] | None = None,
) -> list[Step]:
    """The steps of a recipe in an order in which they can be done.

    Args:
        recipe: valid.
        preset: the model of a preset, by its name.
        runs: the folder of everything that is made.
        wanted: names of what is wanted; None or none: what ships, or else all there is.

    Raises:
        ConfigError: the recipe has nothing of a wanted name.
    """
    known = [*recipe.ships, *recipe.taggers, *recipe.means, *recipe.runs, *recipe.corpora]
    for name in wanted or ():
        if name not in known:
            raise ConfigError(f"--step: no {name}; there are {', '.join(known)}")
    graph = Graph(recipe, preset, runs)
    for name in wanted or recipe.ships or known:
        graph.add(name)
    return list(graph.steps.values())
