"""A recipe that is done in seconds: real speech that is tones, two runs, their mean, and a folder
that ships."""

import json
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from assistant.config import ModelConfig
from assistant.files.presets import load_preset, shipped_config
from lab.manifest import half
from lab.recipe.graph import steps_of
from lab.recipe.perform import Setup, perform
from lab.recipe.recipe import RecipeConfig
from lab.recipe.steps import Step

SHA = "0" * 64

BEATS = {
    "encoder_layers": 2, "encoder_embed_dim": 32, "encoder_ffn_embed_dim": 64,
    "encoder_attention_heads": 4, "embed_dim": 16, "conv_pos": 16,
    "relative_position_embedding": True, "gru_rel_pos": True, "deep_norm": True,
}  # fmt: skip

SHORT = {"epochs": 2, "batch": 4, "warmup_steps": 1, "learning_rate": 0.01, "threads": 1,
         "bfloat16": False}  # fmt: skip

RECIPE: dict[str, Any] = {
    "preset": "tiny",
    "ears": {
        "bank": {"preset": "tiny", "features": "fbank"},
        "ear": {"preset": "tiny", "audio_encoder": "beats"},
    },
    "corpora": {
        "words": {"kind": "speechocean"},
        "kinds": {"kind": "details", "of": ["words"]},
        "still": {"kind": "nobody", "count": 4, "seed": 1},
        "watched": {"kind": "speechocean", "split": "choose"},
        "reported": {"kind": "speechocean", "split": "report"},
    },
    "runs": {
        "beats": {**SHORT, "ear": "bank", "stage": "tag", "beats": BEATS,
                  "train": {"words": 1.0, "still": 1.0}, "watch": {"watched": 4}},
        "align": {**SHORT, "ear": "ear", "stage": "ctc", "train": {"words": 1.0},
                  "watch": {"watched": 4}},
        "one": {**SHORT, "ear": "ear", "stage": "read", "start_from": "align", "seed": 1,
                "train": {"words": 1.0, "kinds": 1.0}, "watch": {"watched": 2}},
        "two": {**SHORT, "ear": "ear", "stage": "read", "start_from": "align", "seed": 2,
                "train": {"words": 1.0, "still": 1.0}, "watch": {"watched": 2},
                "lead": {"store": "still", "share": 0.5, "windows": 1}},
    },
    "means": {"both": {"one": 1.0, "two": 3.0}},
    "ships": {
        "toy": {
            "preset": "tiny", "folder": "weights", "report": ["reported"],
            "files": {
                "weights.safetensors": {"of": "both", "sha256": SHA},
                "beats.safetensors": {"of": "beats", "sha256": SHA},
            },
            "card": {"licence": "none", "training_data": ["tones"], "figures": {"right": 1.0},
                     "notes": "a toy"},
        }
    },
}  # fmt: skip

Change = Callable[[dict[str, Any]], None]


def recipe(change: Change | None = None) -> RecipeConfig:
    """The toy's recipe, with a change made in its YAML.

    Raises:
        pydantic.ValidationError: the change makes it wrong.
    """
    values = deepcopy(RECIPE)
    if change is not None:
        change(values)
    return RecipeConfig.model_validate(values)


@cache
def preset(name: str) -> ModelConfig:
    """The model of a preset."""
    return load_preset(shipped_config(), name)[1]


def steps(runs: Path, change: Change | None = None, wanted: list[str] | None = None) -> list[Step]:
    """The steps of the toy's recipe."""
    return steps_of(recipe(change), preset, runs, wanted)


def do(some: list[Step], data: Path, said: list[str] | None = None) -> None:
    """Do steps, with one process."""
    lines: list[str] = [] if said is None else said
    perform(some, Setup(data, 1, {}, lines.append))


def names(found: list[Step]) -> list[str]:
    """Kind and name of each step."""
    return [f"{type(step).__name__} {step.name}" for step in found]


def material(folder: Path) -> Path:
    """A folder `--data` with real speech of eight speakers, half of them held out."""
    speech = folder / "speech" / "speechocean762"
    speech.mkdir(parents=True)
    entries: list[dict[str, object]] = []
    halves: dict[str, int] = {"choose": 0, "report": 0}
    for i in range(99):
        speaker = f"s{i}"
        held_out = len(entries) >= 6
        if held_out and halves[half(speaker)] == 2:
            continue
        halves[half(speaker)] += held_out
        word = ("on", "off", "up")[i % 3]
        time = np.arange(16_000 + 800 * (i % 5)) / 16_000
        samples = 0.3 * np.sin(2 * np.pi * (300 + 700 * (i % 3)) * time)
        soundfile.write(speech / f"{i}.wav", samples, 16_000)
        entries.append({"file": f"{i}.wav", "text": word, "speaker": speaker, "age": 30,
                        "gender": "f", "split": "dev" if held_out else "train"})  # fmt: skip
        if halves == {"choose": 2, "report": 2}:
            break
    speech.with_suffix(".jsonl").write_text("".join(json.dumps(e) + "\n" for e in entries))
    return folder
