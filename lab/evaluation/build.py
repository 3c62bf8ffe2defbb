"""Putting together what `salmonn-live eval` compares, and making the recordings it needs."""

from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

from assistant.config import Section
from assistant.errors import ConfigError
from assistant.files.presets import read_yaml, validate
from assistant.model import Salmonn, load
from assistant.parts.components import find_whisper
from assistant.prompt.prompt import Prompt, instruction
from lab.corpora.corpus import CorpusConfig
from lab.corpora.prepare import Order, make
from lab.evaluation.kept import kept_sets
from lab.evaluation.reading import read_sets
from lab.evaluation.sets import EvalSet, Half, named_sets
from lab.evaluation.systems import (
    Captioned,
    Cascade,
    Offline,
    Streamed,
    System,
    TextOracle,
    Transcriber,
)
from lab.evaluation.talks import BARE, Reader, TalkSystem, transcribed, true_words
from lab.naming import digest

CORPORA = Path(__file__).with_name("corpora.yaml")
WORKERS = 2


class MadeCorpora(Section):
    """The file `corpora.yaml`: what is made for sets that choose, and for sets that report."""

    choose: dict[str, CorpusConfig]
    report: dict[str, CorpusConfig]


def system_makers(model: Salmonn) -> dict[str, Callable[[], System]]:
    """What makes `model` offline and streamed, greedy, and the baselines, by their names."""
    greedy = model.config.generation.model_copy(update={"beams": 1, "sample": False})
    oracle = TextOracle(model.llm, model.prompt, greedy)
    makers: dict[str, Callable[[], System]] = {
        "offline": lambda: Offline(model, greedy),
        "streamed": lambda: Streamed(model, greedy),
        "text oracle": lambda: oracle,
    }
    weights = find_whisper(model.config.speech_encoder.weights)
    if any(key.startswith("decoder.") for key in weights.state):
        transcriber = cache(lambda: Transcriber(weights))

        def bare() -> System:
            """With the LLM as it was published, without the adapters that the cascade shares."""
            llm = load(model.config.model_copy(update={"checkpoint": None})).llm
            published = TextOracle(llm, model.prompt, greedy)
            return Cascade("bare cascade", transcriber(), published)

        makers |= {
            "captions": lambda: Captioned(model),
            "Whisper": transcriber,
            "cascade": lambda: Cascade("cascade", transcriber(), oracle),
            "bare cascade": bare,
        }
    return makers


def talk_makers(
    model: Salmonn, live: Callable[[bool], TalkSystem]
) -> dict[str, Callable[[], TalkSystem]]:
    """What makes those that everyday talks are had with, by their names.

    Args:
        model: the preset's.
        live: makes the whole of it, streamed; given whether its own tools are offered.
    """
    config = model.config
    words = config.reads == "words"
    greedy = config.generation.model_copy(update={"beams": 1, "sample": False})
    asked = instruction(None, None, None, config.prompt.default_task)
    reader = partial(Reader, llm=model.llm, prompt=model.prompt, instruction=asked)

    def bare() -> TalkSystem:
        """The LLM as it was published, given what is really said."""
        published = config.model_copy(update={"checkpoint": None, "prompt": BARE})
        llm = model.llm if config.checkpoint is None else load(published).llm
        return Reader("bare LLM", llm, Prompt(BARE), "", greedy, true_words(words=False))

    makers: dict[str, Callable[[], TalkSystem]] = {
        "live": partial(live, False),
        "text oracle": lambda: reader("text oracle", generation=greedy, reads=true_words(words)),
        "bare LLM": bare,
    }
    if config.prompt.toolbox and model.calls is not None:
        makers["live with tools"] = partial(live, True)
    weights = find_whisper(config.speech_encoder.weights)
    if any(key.startswith("decoder.") for key in weights.state):
        makers["cascade"] = lambda: reader(
            "cascade", generation=greedy, reads=transcribed(Transcriber(weights), words)
        )
    return makers


def made_corpora() -> MadeCorpora:
    """The file `corpora.yaml`."""
    return validate(MadeCorpora, read_yaml(CORPORA), CORPORA.name)


def made_sets(
    data: Path, made: Path, clips: int, half: Half, names: Sequence[str] | None = None
) -> list[EvalSet]:
    """The named sets; recordings that are not there yet are made, if any set that is wanted needs
    them.

    Args:
        data: the folder `data` of recordings.
        made: receives the made ones, in folders named by what they are made of.
        clips: rows of a set at most.
        half: the sets that choose, or those that report.
        names: sets that are wanted; None: all.

    Raises:
        ConfigError: there is no `data`, or something is missing in it.
    """
    ready = [*read_sets(data, clips, half), *kept_sets(data, clips, half)]
    if names is not None and {*names} <= {one.name for one in ready}:
        return ready
    every = made_corpora()
    folders: dict[str, Path] = {}
    for name, corpus in (every.choose if half == "choose" else every.report).items():
        folders[name] = made / f"{name}-{half}-{digest(corpus.model_dump(mode='json'))}"
        source = folders[name] / "manifest.jsonl"
        try:
            if not source.exists():
                make(Order(name, corpus, (), data, source, WORKERS))
        except FileNotFoundError as error:
            raise ConfigError(f"making {name}: {error}") from error
    return [*named_sets(data, folders, clips, half), *ready]
