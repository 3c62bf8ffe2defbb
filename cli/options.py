"""Options that several commands share, and how they get a configuration and its model."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from unicodedata import category

import typer
from rich.console import Console

from assistant.config import LoraConfig
from assistant.errors import ConfigError
from assistant.files.presets import shipped_config, validate
from streaming.config import Config
from streaming.config_file import load_config

if TYPE_CHECKING:  # importing it takes seconds
    from assistant.model import Salmonn

UNSHOWN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories of characters that move the cursor, end a line or change its direction."""

PresetOption = Annotated[
    str | None, typer.Option("--preset", help="Preset to run instead of the file's choice.")
]
InstructionOption = Annotated[
    str | None, typer.Option("--instruction", help="What to do with what is heard.")
]
TaskOption = Annotated[
    str | None, typer.Option("--task", help="A named task of assistant/prompts.yaml instead.")
]
LoraScaleOption = Annotated[
    float | None, typer.Option("--lora-scale", help="LoRA scale; lower is freer (SALMONN 4.3).")
]


def configure(path: Path | None, preset: str | None, lora_scale: float | None = None) -> Config:
    """The configuration that a command runs with; torch is not needed for it.

    Args:
        path: of the configuration file; None: the shipped one.
        preset: overrides the file's choice.
        lora_scale: replaces alpha / rank.

    Raises:
        ConfigError: a key is wrong, or the preset has no LoRA to scale.
    """
    config = load_config(path or shipped_config(), preset)
    if lora_scale is None:
        return config
    lora = config.model.llm.lora
    if lora is None:
        raise ConfigError(f"--lora-scale: preset {config.preset} has no LoRA")
    if config.model.checkpoint is None:
        raise ConfigError(f"--lora-scale: preset {config.preset} has no checkpoint, so no LoRA")
    scaled = validate(LoraConfig, {**lora.model_dump(), "scale": lora_scale}, "--lora-scale")
    llm = config.model.llm.model_copy(update={"lora": scaled})
    return replace(config, model=config.model.model_copy(update={"llm": llm}))


def load_model(config: Config) -> "Salmonn":
    """Load the model. A line on stderr names weights that the model has no place for.

    Raises:
        AssistantError: a part is missing or does not fit.
    """
    from assistant.model import load

    model = load(config.model)
    if left := model.leftover:
        names = ", ".join(left[:5]) + (", ..." if len(left) > 5 else "")
        message = f"{config.model.checkpoint}: {len(left)} keys have no place here: {names}"
        tell(message, "yellow")
    return model


def tell(message: str, style: str) -> None:
    """Write one line on stderr, whatever characters there are in names of files.

    Args:
        message: text of the line.
        style: style of rich, such as "red".
    """
    shown = "".join(
        char.encode("unicode_escape").decode() if category(char) in UNSHOWN else char
        for char in message
    )
    Console(stderr=True, emoji=False).print(
        shown, style=style, highlight=False, markup=False, soft_wrap=True
    )
