"""Putting together what `salmonn-live eval` compares, and making the recordings it needs."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from assistant.errors import ConfigError
from assistant.model import Salmonn, load
from assistant.parts.components import find_whisper
from lab.corpora.prepare import load_data_config, make
from lab.evaluation.sets import MADE, EvalSet, named_sets
from lab.evaluation.systems import (
    Cascade,
    Offline,
    Streamed,
    System,
    TextOracle,
    Transcriber,
)

RECIPE = Path(__file__).parents[1] / "recipes" / "nano-0-data.yaml"
WORKERS = 2


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
            "Whisper": transcriber,
            "cascade": lambda: Cascade("cascade", transcriber(), oracle),
            "bare cascade": bare,
        }
    return makers


def made_sets(data: Path, made: Path, clips: int) -> list[EvalSet]:
    """The named sets; recordings that are not there yet are made, as the recipe says.

    Args:
        data: the folder `data` of recordings.
        made: receives the made ones.
        clips: rows of a set at most.

    Raises:
        ConfigError: there is no `data`, or something is missing in it.
    """
    for corpus in load_data_config(RECIPE).corpora:
        if corpus.name in MADE:
            try:
                make(corpus, data, made, WORKERS)
            except FileNotFoundError as error:
                raise ConfigError(f"making {corpus.name}: {error}") from error
    return named_sets(data, made, clips)
