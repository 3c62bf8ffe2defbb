"""Checkpoints as they were published: every name and shape has its place."""

import re
from pathlib import Path

import peft
import pytest
import torch
from torch import Tensor

from assistant.config import AlignerConfig
from assistant.ear.aligner import Aligner
from assistant.errors import CheckpointError
from assistant.llm.adapters import lora_parameters
from assistant.parts.checkpoint import read_trained
from tests.assistant.parts.models import (
    LORA,
    TOY,
    Shapes,
    llama,
    published_file,
    published_shapes,
    random_values,
    toy_model,
)


def true_size(llm_width: int, layers: int, mlp: int) -> tuple[Aligner, peft.PeftModel]:
    """The published model's shapes, without memory for the values."""
    with torch.device("meta"):
        aligner = Aligner(AlignerConfig(), 1280, 768, llm_width)
        return aligner, llama(llm_width, layers, layers, mlp, 32_000)


@pytest.fixture(scope="module")
def model_13b() -> tuple[Aligner, peft.PeftModel]:
    return true_size(5120, 40, 13_824)


@pytest.fixture(scope="module")
def model_7b() -> tuple[Aligner, peft.PeftModel]:
    return true_size(4096, 32, 11_008)


def without_values(shapes: Shapes) -> dict[str, Tensor]:
    return {key: torch.zeros(1).expand(shape) for key, shape in shapes.items()}


@pytest.mark.parametrize(
    ("fixture", "llm_width", "layers", "tensors", "parameters"),
    [("model_13b", 5120, 40, 221, 33_332_992), ("model_7b", 4096, 32, 189, 30_186_240)],
)
def test_a_file_of_the_published_names_and_shapes_fills_the_model(
    tmp_path: Path,
    request: pytest.FixtureRequest,
    fixture: str,
    llm_width: int,
    layers: int,
    tensors: int,
    parameters: int,
) -> None:
    shapes = published_shapes(llm_width, layers)
    assert len(shapes) == tensors
    assert sum(torch.Size(shape).numel() for shape in shapes.values()) == parameters
    path = published_file(tmp_path, without_values(shapes), config={"run": {}}, epoch=3)
    aligner, llm = request.getfixturevalue(fixture)
    assert read_trained(path).fill(aligner, llm, "it") == []
    places = [*aligner.parameters(), *lora_parameters(llm).values()]
    assert sum(place.numel() for place in places) == parameters


LEFTOVERS = {
    "llama_model.base_model.model.model.layers.0.self_attn.rotary_emb.inv_freq": (64,),
    "llama_model.base_model.model.model.layers.39.self_attn.rotary_emb.inv_freq": (64,),
    "speech_Qformer.bert.embeddings.position_ids": (1, 512),
    "beats.encoder.layers.1.self_attn.relative_attention_bias.weight": (320, 12),
    # the text half of a BERT layer, which the earlier code kept
    "speech_Qformer.bert.embeddings.word_embeddings.weight": (30_522, 768),
    "speech_Qformer.bert.encoder.layer.0.intermediate.dense.weight": (3072, 768),
    "speech_Qformer.bert.encoder.layer.0.output.dense.bias": (768,),
    "speech_Qformer.bert.encoder.layer.1.output.LayerNorm.weight": (768,),
    "speech_Qformer.cls.predictions.bias": (30_522,),
}


def test_leftovers_of_the_reference_code_are_tolerated_and_reported(
    tmp_path: Path, model_13b: tuple[Aligner, peft.PeftModel]
) -> None:
    shapes = published_shapes(5120, 40) | LEFTOVERS
    path = published_file(tmp_path, without_values(shapes))
    assert sorted(read_trained(path).fill(*model_13b, "it")) == sorted(LEFTOVERS)


@pytest.mark.parametrize(
    "key",
    [
        "speech_query_tokens",
        "ln_audio.weight",
        "speech_Qformer.bert.embeddings.LayerNorm.bias",
        "speech_Qformer.bert.encoder.layer.1.crossattention.self.key.weight",
        "speech_Qformer.bert.encoder.layer.0.output_query.LayerNorm.weight",
        "speech_llama_proj.bias",
        "llama_model.base_model.model.model.layers.31.self_attn.v_proj.lora_B.default.weight",
    ],
)
def test_a_key_missing_or_misshapen_is_an_error_that_names_it_as_published(
    tmp_path: Path, model_7b: tuple[Aligner, peft.PeftModel], key: str
) -> None:
    model = without_values(published_shapes(4096, 32))
    shape = tuple(model[key].shape)
    problems = {"missing": f"missing {key} {shape}"}
    wrong = (*shape[:-1], shape[-1] + 1)
    problems["wrong"] = f"wrong shape {key}: {wrong}, expected {shape}"
    given = {
        "missing": {k: v for k, v in model.items() if k != key},
        "wrong": model | {key: torch.zeros(1).expand(wrong)},
    }
    for kind, problem in problems.items():
        path = published_file(tmp_path, given[kind])
        with pytest.raises(CheckpointError, match=f"^it: {re.escape(problem)}$"):
            read_trained(path).fill(*model_7b, "it")


def test_all_problems_are_listed_and_nothing_is_filled(tmp_path: Path) -> None:
    model = random_values(TOY)
    del model["ln_speech.weight"], model["speech_llama_proj.weight"]
    aligner, llm = toy_model()
    before = {k: v.clone() for k, v in aligner.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"ln_speech\.weight.*; .*speech_llama_proj\.weight"):
        read_trained(published_file(tmp_path, model)).fill(aligner, llm, "it")
    assert all(torch.equal(before[k], v) for k, v in aligner.state_dict().items())


def test_the_wrong_llm_is_told_by_its_width(
    tmp_path: Path, model_7b: tuple[Aligner, peft.PeftModel]
) -> None:
    path = published_file(tmp_path, without_values(published_shapes(5120, 40)))
    with pytest.raises(CheckpointError, match=r"wrong shape speech_llama_proj\.weight: \(5120, "):
        read_trained(path).fill(*model_7b, "it")


@pytest.mark.parametrize("shapes", [published_shapes(5120, 40), published_shapes(4096, 32), TOY])
def test_published_names_come_back_from_ours(tmp_path: Path, shapes: Shapes) -> None:
    weights = read_trained(published_file(tmp_path, without_values(shapes)))
    ours = [f"aligner.{k}" for k in weights.aligner] + [f"lora.{k}" for k in weights.lora]
    assert len(set(ours)) == len(ours)
    assert len(ours) == len(shapes)
    assert {weights.file_key(key) for key in ours} == shapes.keys()
    for key in ours:
        kind, name = key.split(".", 1)
        tensor = getattr(weights, kind)[name]
        assert tuple(tensor.shape) == shapes[weights.file_key(key)]


QFORMER = "speech_Qformer.bert.encoder.layer"

OURS = {
    "speech_query_tokens": "queries",
    "ln_speech.weight": "ln_speech.weight",
    "ln_audio.bias": "ln_audio.bias",
    "speech_Qformer.bert.embeddings.LayerNorm.weight": "qformer.norm.weight",
    f"{QFORMER}.0.attention.self.query.weight": "qformer.layers.0.self_attention.query.weight",
    f"{QFORMER}.1.attention.self.value.bias": "qformer.layers.1.self_attention.value.bias",
    f"{QFORMER}.0.attention.output.dense.weight": "qformer.layers.0.self_attention.out.weight",
    f"{QFORMER}.1.attention.output.LayerNorm.bias": "qformer.layers.1.self_attention.norm.bias",
    f"{QFORMER}.0.crossattention.self.key.weight": "qformer.layers.0.cross_attention.key.weight",
    f"{QFORMER}.1.crossattention.self.value.weight":
        "qformer.layers.1.cross_attention.value.weight",
    f"{QFORMER}.0.crossattention.output.dense.bias": "qformer.layers.0.cross_attention.out.bias",
    f"{QFORMER}.0.crossattention.output.LayerNorm.weight":
        "qformer.layers.0.cross_attention.norm.weight",
    f"{QFORMER}.0.intermediate_query.dense.weight": "qformer.layers.0.up.weight",
    f"{QFORMER}.1.output_query.dense.weight": "qformer.layers.1.down.weight",
    f"{QFORMER}.1.output_query.LayerNorm.bias": "qformer.layers.1.norm.bias",
    "speech_llama_proj.weight": "projection.weight",
}  # fmt: skip


def test_values_land_in_the_right_place(tmp_path: Path) -> None:
    model = random_values(TOY)
    aligner, llm = toy_model()
    assert read_trained(published_file(tmp_path, model)).fill(aligner, llm, "it") == []
    filled = aligner.state_dict()
    for theirs, ours in OURS.items():
        assert torch.equal(filled[ours], model[theirs]), theirs
    decoder = llm.get_base_model().model.layers
    for layer, part in [(0, "q_proj"), (1, "v_proj")]:
        adapted = getattr(decoder[layer].self_attn, part)
        name = f"llama_model.{LORA}.{layer}.self_attn.{part}"
        for side in ("lora_A", "lora_B"):
            expected = model[f"{name}.{side}.default.weight"]
            assert torch.equal(getattr(adapted, side)["default"].weight, expected)


def test_every_value_of_the_file_lands_once(tmp_path: Path) -> None:
    model = random_values(TOY)
    aligner, llm = toy_model()
    read_trained(published_file(tmp_path, model)).fill(aligner, llm, "it")
    places = [*aligner.parameters(), *lora_parameters(llm).values()]
    landed = torch.cat([place.detach().flatten() for place in places]).sort().values
    assert torch.equal(landed, torch.cat([v.flatten() for v in model.values()]).sort().values)


def test_without_adapters_their_tensors_are_left_over(tmp_path: Path) -> None:
    weights = read_trained(published_file(tmp_path, random_values(TOY)))
    left = weights.fill(toy_model()[0], None, "it")
    assert left == sorted(key for key in TOY if key.startswith("llama_model."))
