"""Trained weights on disk: the published files, the trainer's, and our own folder.

    published   `.pth` of SALMONN, {"model": ...}: names of the published code
    trainer     `state.pt` of a training run, {"parameters": ...}
    ours        a folder: `weights.safetensors` and `card.json`

All of them become `TrainedWeights`. Keys that the model has no place for are reported and ignored,
since the published code (github.com/bytedance/SALMONN) saves some by accident. A key that is
missing or has another shape is an error that names it as the file does.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from assistant.config import ModelConfig
from assistant.ear.aligner import Aligner
from assistant.errors import CheckpointError
from assistant.files.weights import SHIPPED, read_state, sha256
from assistant.llm.adapters import lora_parameters

if TYPE_CHECKING:  # importing it takes a while, and not every preset has adapters
    import peft

WEIGHTS, CARD = "weights.safetensors", "card.json"
FORMAT = 1
"""Format number of our folder, raised when its meaning changes."""


class Card(BaseModel):
    """The card of our folder: what its weights are and how they were made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    preset: str
    """Preset that the weights were made for."""

    weights_sha256: str
    components: dict[str, str] = {}
    """For each part of the model: the source and sha256 that the weights were trained with."""

    training_data: list[str] = []
    figures: dict[str, float | str] = {}
    licence: str = ""
    notes: str = ""


@dataclass(frozen=True, slots=True)
class TrainedWeights:
    """Aligner and LoRA tensors by our names, and how to get back to the names in the file."""

    aligner: dict[str, Tensor]
    lora: dict[str, Tensor]
    """LoRA tensors by peft's names, `base_model.model. ...`."""

    leftover: list[str] = field(default_factory=list)
    """Keys of the file that belong to neither the aligner nor LoRA."""

    file_key: Callable[[str], str] = str
    """From our key, `aligner.…` or `lora.…`, to the key in the file."""

    def fill(self, aligner: Aligner, llm: "peft.PeftModel | None", source: str) -> list[str]:
        """Copy the tensors into a model.

        Args:
            aligner: receives the aligner's tensors.
            llm: receives the LoRA tensors; None if the preset has no adapters.
            source: name of the file, for errors.

        Returns:
            Keys of the file that found no place.

        Raises:
            CheckpointError: keys are missing or have another shape; all are listed.
        """
        places = {f"aligner.{k}": t for k, t in aligner.state_dict(keep_vars=True).items()}
        if llm is not None:
            places |= {f"lora.{k}": t for k, t in lora_parameters(llm).items()}
        given = {f"aligner.{k}": t for k, t in self.aligner.items()}
        given |= {f"lora.{k}": t for k, t in self.lora.items()}
        problems = []
        for key, place in places.items():
            if key not in given:
                problems.append(f"missing {self.file_key(key)} {tuple(place.shape)}")
            elif given[key].shape != place.shape:
                problems.append(
                    f"wrong shape {self.file_key(key)}: {tuple(given[key].shape)}, "
                    f"expected {tuple(place.shape)}"
                )
        if problems:
            raise CheckpointError(f"{source}: " + "; ".join(problems))
        with torch.no_grad():
            for key, place in places.items():
                if not place.is_meta:  # shapes alone are being checked
                    place.copy_(given[key])
        return self.leftover + sorted(map(self.file_key, given.keys() - places.keys()))


def read_trained(path: Path) -> TrainedWeights:
    """Read trained weights of any of the three kinds.

    Raises:
        CheckpointError: there is nothing, or it is unreadable or of none of the kinds.
    """
    if path.is_dir():
        return _read_folder(path)
    content = read_state(path)
    if isinstance(content.get("model"), dict):
        return from_published(content["model"])
    if isinstance(content.get("parameters"), dict):
        return _from_trainer(content["parameters"])
    raise CheckpointError(
        f"{path}: no 'model' (published SALMONN) and no 'parameters' (our trainer) in it"
    )


def fit(weights: TrainedWeights, config: ModelConfig, source: str) -> TrainedWeights:
    """Check weights against a preset without loading its other parts, and drop the keys that do not
    belong.

    The widths of the encoders and the LLM are taken from the file; everything else has to be as
    `config` says.

    Args:
        weights: as `read_trained` returned them.
        config: the preset that they are meant for.
        source: name of the file, for errors.

    Returns:
        The tensors that have a place; `leftover` names all others.

    Raises:
        CheckpointError: keys are missing or have another shape, or LoRA has another rank or is on
            other layers.
    """

    def width(name: str) -> int:
        if name not in weights.aligner:
            raise CheckpointError(f"{source}: missing {weights.file_key(f'aligner.{name}')}")
        return len(weights.aligner[name])

    audio = None if config.audio_encoder is None else width("ln_audio.weight")
    speech, llm = width("ln_speech.weight"), width("projection.bias")
    with torch.device("meta"):
        aligner = Aligner(config.aligner, speech, audio, llm)
    kept = {k: weights.aligner[k] for k in aligner.state_dict() if k in weights.aligner}
    without_lora = TrainedWeights(weights.aligner, {}, weights.leftover, weights.file_key)
    leftover = without_lora.fill(aligner, None, source)
    lora = config.llm.lora
    if lora is None:
        return TrainedWeights(kept, {}, leftover + sorted(weights.lora), weights.file_key)
    if not weights.lora:
        raise CheckpointError(f"{source}: the preset has LoRA, the file has none")
    for name, tensor in weights.lora.items():
        rank = tensor.shape[0 if ".lora_A." in name else 1]
        if rank != lora.rank or not any(f".{target}." in name for target in lora.targets):
            raise CheckpointError(
                f"{source}: {weights.file_key(f'lora.{name}')} {tuple(tensor.shape)} does not fit "
                f"LoRA of rank {lora.rank} on {', '.join(lora.targets)}"
            )
    return TrainedWeights(kept, weights.lora, leftover, weights.file_key)


# --- published ------------------------------------------------------------------------------------

_PUBLISHED_NAMES = (
    (r"^queries$", "speech_query_tokens"),
    (r"^projection\.", "speech_llama_proj."),
    (r"^qformer\.norm\.", "speech_Qformer.bert.embeddings.LayerNorm."),
    (r"^qformer\.layers\.(\d+)\.", r"speech_Qformer.bert.encoder.layer.\1."),
    (r"\.self_attention\.(query|key|value)\.", r".attention.self.\1."),
    (r"\.cross_attention\.(query|key|value)\.", r".crossattention.self.\1."),
    (r"\.self_attention\.out\.", ".attention.output.dense."),
    (r"\.self_attention\.norm\.", ".attention.output.LayerNorm."),
    (r"\.cross_attention\.out\.", ".crossattention.output.dense."),
    (r"\.cross_attention\.norm\.", ".crossattention.output.LayerNorm."),
    (r"\.up\.", ".intermediate_query.dense."),
    (r"\.down\.", ".output_query.dense."),
    (r"(layer\.\d+)\.norm\.", r"\1.output_query.LayerNorm."),
)
LLM_PREFIX = "llama_model."


def published_key(key: str) -> str:
    """The published code's name for our key `aligner.…` or `lora.…`."""
    kind, name = key.split(".", 1)
    if kind == "lora":
        return LLM_PREFIX + name
    for ours, theirs in _PUBLISHED_NAMES:
        name = re.sub(ours, theirs, name)
    return name


_OUR_NAMES = (
    (r"^speech_query_tokens$", "queries"),
    (r"^speech_llama_proj\.", "projection."),
    (r"^speech_Qformer\.bert\.embeddings\.LayerNorm\.", "qformer.norm."),
    (r"^speech_Qformer\.bert\.encoder\.layer\.(\d+)\.", r"qformer.layers.\1."),
    (r"\.attention\.self\.", ".self_attention."),
    (r"\.crossattention\.self\.", ".cross_attention."),
    (r"\.attention\.output\.dense\.", ".self_attention.out."),
    (r"\.attention\.output\.LayerNorm\.", ".self_attention.norm."),
    (r"\.crossattention\.output\.dense\.", ".cross_attention.out."),
    (r"\.crossattention\.output\.LayerNorm\.", ".cross_attention.norm."),
    (r"\.intermediate_query\.dense\.", ".up."),
    (r"\.output_query\.dense\.", ".down."),
    (r"\.output_query\.LayerNorm\.", ".norm."),
)


def from_published(model: dict[str, Tensor]) -> TrainedWeights:
    """Sort the tensors of a published file (its `model` entry)."""
    aligner, lora, leftover = {}, {}, []
    for key, tensor in model.items():
        if key.startswith(LLM_PREFIX):
            name = key.removeprefix(LLM_PREFIX)
            if ".lora_" in name:
                lora[name] = tensor
            else:
                leftover.append(key)
            continue
        name = key
        for theirs, ours in _OUR_NAMES:
            name = re.sub(theirs, ours, name)
        if name == key and not key.startswith(("ln_speech.", "ln_audio.")):
            leftover.append(key)
        else:
            aligner[name] = tensor
    return TrainedWeights(aligner, lora, sorted(leftover), published_key)


# --- the trainer's --------------------------------------------------------------------------------


def _from_trainer(parameters: dict[str, Tensor]) -> TrainedWeights:
    aligner = {
        k.removeprefix("aligner."): v for k, v in parameters.items() if k.startswith("aligner.")
    }
    lora = {k.removeprefix("llm."): v for k, v in parameters.items() if ".lora_" in k}
    leftover = [k for k in parameters if not k.startswith("aligner.") and ".lora_" not in k]
    return TrainedWeights(
        aligner, lora, sorted(leftover), lambda key: re.sub(r"^lora\.", "llm.", key)
    )


# --- ours -----------------------------------------------------------------------------------------


def write_folder(folder: Path, weights: TrainedWeights, card: dict[str, object]) -> Card:
    """Write `weights` as fp16 safetensors with a card.

    Args:
        folder: is created if needed.
        weights: the tensors to save.
        card: the fields of `Card` except the digest.

    Returns:
        The card as written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"aligner.{k}": v for k, v in weights.aligner.items()}
    tensors |= {f"lora.{k}": v for k, v in weights.lora.items()}
    halved = {k: v.detach().to("cpu", torch.float16).contiguous() for k, v in tensors.items()}
    safetensors.torch.save_file(halved, folder / WEIGHTS)
    written = Card.model_validate({**card, "weights_sha256": sha256(folder / WEIGHTS)})
    (folder / CARD).write_text(written.model_dump_json(indent=2) + "\n")
    return written


def read_card(folder: Path) -> Card:
    """The card of a folder of ours.

    Raises:
        CheckpointError: there is no card, it cannot be read, or it is of a newer format.
    """
    path = folder / CARD
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        newer = isinstance(values, dict) and values.get("format", FORMAT) != FORMAT
        card = None if newer else Card.model_validate(values)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not a card of ours ({error})") from error
    if card is None:
        raise CheckpointError(f"{path}: format {values['format']} is newer than this program")
    return card


def _read_folder(folder: Path) -> TrainedWeights:
    card = read_card(folder)
    state = read_state(folder / WEIGHTS)
    if (found := sha256(folder / WEIGHTS)) != card.weights_sha256:
        raise CheckpointError(f"{folder / WEIGHTS}: sha256 {found} is not the card's")
    parts: dict[str, dict[str, Tensor]] = {"aligner": {}, "lora": {}}
    for key, tensor in state.items():
        kind, _, name = key.partition(".")
        parts.setdefault(kind, {})[name] = tensor
    extra = [f"{kind}.{k}" for kind in parts.keys() - {"aligner", "lora"} for k in parts[kind]]
    return TrainedWeights(parts["aligner"], parts["lora"], sorted(extra))


def checkpoint_path(source: str) -> Path:
    """Path of a preset's checkpoint: `shipped:NAME` came with the program; anything else is a path.

    Raises:
        CheckpointError: nothing is there.
    """
    kind, colon, name = source.partition(":")
    shipped = bool(colon) and kind == "shipped"
    path = SHIPPED / name if shipped else Path(source).expanduser()
    if not path.exists():
        raise CheckpointError(f"checkpoint: {source}: no such file or folder")
    return path
