import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from assistant.config import AlignerConfig, LoraConfig, QFormerConfig
from assistant.ear.aligner import Aligner
from assistant.errors import CheckpointError
from assistant.files.weights import read_state, require
from assistant.llm.adapters import add_lora, lora_parameters
from assistant.parts.checkpoint import TrainedWeights, read_card, read_trained, write_folder

Shapes = dict[str, tuple[int, ...]]


def published_shapes(
    llm_width: int,
    llm_layers: int,
    width: int = 768,
    mlp: int = 3072,
    speech: int = 1280,
    audio: int = 768,
    rank: int = 8,
) -> Shapes:
    """Names and shapes of a published file, written out from its description."""
    shapes: Shapes = {"speech_query_tokens": (1, 1, width)}

    def linear(name: str, rows: int, columns: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (rows, columns), (rows,)

    def norm(name: str, size: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (size,), (size,)

    norm("ln_speech", speech)
    norm("ln_audio", audio)
    norm("speech_Qformer.bert.embeddings.LayerNorm", width)
    for i in (0, 1):
        layer = f"speech_Qformer.bert.encoder.layer.{i}"
        for kind, memory in (("attention", width), ("crossattention", speech + audio)):
            linear(f"{layer}.{kind}.self.query", width, width)
            linear(f"{layer}.{kind}.self.key", width, memory)
            linear(f"{layer}.{kind}.self.value", width, memory)
            linear(f"{layer}.{kind}.output.dense", width, width)
            norm(f"{layer}.{kind}.output.LayerNorm", width)
        linear(f"{layer}.intermediate_query.dense", mlp, width)
        linear(f"{layer}.output_query.dense", width, mlp)
        norm(f"{layer}.output_query.LayerNorm", width)
    linear("speech_llama_proj", llm_width, width)
    for i in range(llm_layers):
        for part in ("q_proj", "v_proj"):
            name = f"llama_model.base_model.model.model.layers.{i}.self_attn.{part}"
            shapes[f"{name}.lora_A.default.weight"] = (rank, llm_width)
            shapes[f"{name}.lora_B.default.weight"] = (llm_width, rank)
    return shapes


def llama(width: int, layers: int, heads: int, mlp: int, vocabulary: int) -> peft.PeftModel:
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=mlp,
        num_hidden_layers=layers,
        num_attention_heads=heads,
    )
    return add_lora(LlamaForCausalLM(config), LoraConfig())


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


TOY = published_shapes(16, 2, width=8, mlp=12, speech=6, audio=4)


def toy_model() -> tuple[Aligner, peft.PeftModel]:
    qformer = QFormerConfig(layers=2, width=8, heads=2, mlp_width=12)
    aligner = Aligner(AlignerConfig(qformer=qformer), 6, 4, 16)
    return aligner, llama(16, 2, 2, 32, 10)


def random_values(shapes: Shapes) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(5)
    return {key: torch.randn(shape, generator=random) for key, shape in shapes.items()}


def published_file(folder: Path, model: dict[str, Tensor], **beside: object) -> Path:
    path = folder / "salmonn.pth"
    torch.save({"model": model, **beside}, path)
    return path


def without_values(shapes: Shapes) -> dict[str, Tensor]:
    return {key: torch.zeros(1).expand(shape) for key, shape in shapes.items()}


# --- the published files --------------------------------------------------------------------------


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
LORA = "base_model.model.model.layers"
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


# --- our folder -----------------------------------------------------------------------------------

CARD: dict[str, object] = {
    "preset": "toy",
    "training_data": ["clips"],
    "figures": {"wer": 0.5},
    "licence": "MIT",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    weights = read_trained(published_file(tmp_path, random_values(TOY)))
    write_folder(tmp_path / "deep" / "ours", weights, CARD)
    return tmp_path / "deep" / "ours"


def test_our_folder_gives_back_what_was_written_to_half_precision(folder: Path) -> None:
    written = read_trained(folder.parents[1] / "salmonn.pth")
    found = read_trained(folder)
    for before, after in [(written.aligner, found.aligner), (written.lora, found.lora)]:
        assert before.keys() == after.keys()
        for key, value in before.items():
            torch.testing.assert_close(after[key].float(), value, rtol=2**-11, atol=1e-7)
    assert found.leftover == []
    aligner, llm = toy_model()
    assert found.fill(aligner, llm, "it") == []
    assert torch.equal(aligner.queries, found.aligner["queries"].float())


def test_the_card_says_what_it_was_given_and_the_digest(folder: Path) -> None:
    card = json.loads((folder / "card.json").read_text())
    assert card.pop("weights_sha256") == read_card(folder).weights_sha256
    assert card == {"format": 1, "components": {}, "notes": "", **CARD}
    assert {path.name for path in folder.iterdir()} == {"card.json", "weights.safetensors"}


def test_a_card_of_unknown_fields_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="colour"):
        write_folder(tmp_path, TrainedWeights({}, {}), {**CARD, "colour": "red"})


def test_a_missing_key_in_our_folder_is_named_as_there(folder: Path) -> None:
    weights = read_trained(folder)
    lacking = {k: v for k, v in weights.aligner.items() if k != "projection.bias"}
    write_folder(folder, replace(weights, aligner=lacking), CARD)
    with pytest.raises(CheckpointError, match=r"^it: missing aligner\.projection\.bias \(16,\)$"):
        read_trained(folder).fill(*toy_model(), "it")


def test_tampered_weights_are_refused(folder: Path) -> None:
    path = folder / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"weights\.safetensors: sha256 .* is not the card's"):
        read_trained(folder)


def rewrite_card(folder: Path, **changes: Any) -> None:
    card = json.loads((folder / "card.json").read_text()) | changes
    (folder / "card.json").write_text(json.dumps(card))


@pytest.mark.parametrize("beside", [{}, {"tokens_per_second": 6.25}])
def test_a_newer_format_is_refused_as_newer(folder: Path, beside: dict[str, Any]) -> None:
    rewrite_card(folder, format=2, **beside)
    with pytest.raises(CheckpointError, match="format 2 is newer than this program"):
        read_trained(folder)


def test_a_missing_card_or_weights_file_is_named(folder: Path) -> None:
    (folder / "weights.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"weights\.safetensors: no such file"):
        read_trained(folder)
    (folder / "card.json").unlink()
    with pytest.raises(CheckpointError, match=r"card\.json: not a card of ours"):
        read_trained(folder)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"preset": "toy"}', "no json"])
def test_a_file_that_is_no_card_is_refused(folder: Path, content: str) -> None:
    (folder / "card.json").write_text(content)
    with pytest.raises(CheckpointError, match="not a card of ours"):
        read_trained(folder)


# --- the trainer's state --------------------------------------------------------------------------


def trainers_names(model: dict[str, Tensor]) -> dict[str, Tensor]:
    aligner, llm = toy_model()
    weights = TrainedWeights(dict(aligner.state_dict()), dict(lora_parameters(llm)))
    named = {f"aligner.{k}": v for k, v in weights.aligner.items()}
    return named | {f"llm.{k}": v for k, v in weights.lora.items()} | model


def test_the_trainers_state_fills_a_model(tmp_path: Path) -> None:
    value = torch.full((8, 16), 3.0)
    adapter = f"{LORA}.1.self_attn.q_proj.lora_A.default.weight"
    parameters = trainers_names({f"llm.{adapter}": value, "blank": torch.ones(16)})
    torch.save({"parameters": parameters, "optimiser": {}, "step": 7}, tmp_path / "state.pt")
    aligner, llm = toy_model()
    with torch.no_grad():
        aligner.queries.zero_()
    assert read_trained(tmp_path / "state.pt").fill(aligner, llm, "it") == ["blank"]
    assert torch.equal(aligner.queries, parameters["aligner.queries"])
    assert torch.equal(lora_parameters(llm)[adapter], value)


@pytest.mark.parametrize(
    "key", ["aligner.projection.bias", f"llm.{LORA}.0.self_attn.v_proj.lora_B.default.weight"]
)
def test_a_key_the_trainer_lacks_is_named_as_the_trainer_does(tmp_path: Path, key: str) -> None:
    parameters = trainers_names({})
    del parameters[key]
    torch.save({"parameters": parameters}, tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match=f"^it: missing {re.escape(key)} "):
        read_trained(tmp_path / "state.pt").fill(*toy_model(), "it")


# --- files that are not weights -------------------------------------------------------------------


class Bomb:
    """Pickles to a call that makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(
    tmp_path: Path, zipped: bool
) -> None:
    trace, path = tmp_path / "trace", tmp_path / "salmonn.pth"
    content = {"model": {"speech_query_tokens": Bomb(trace)}}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match="refused, it holds more than tensors"):
        read_trained(path)
    assert not trace.exists()
    torch.load(path, weights_only=False)  # the file would have run it
    assert trace.exists()


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>not found</html>",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        b"PK\x03\x04 and no more",
        b"hello",
        b"Read me\n",
        b"\x80\x02",
        b"U\xf8\xb3",
        b"J",
    ],
)
def test_a_file_that_is_not_weights_is_refused_by_name(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{name}: (not readable|refused)"):
        read_trained(tmp_path / name)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch") / "x.pth"


@pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning")
@settings(deadline=None)
@given(st.one_of(st.text().map(str.encode), st.binary(max_size=40)))
def test_no_bytes_give_anything_but_a_checkpoint_error(scratch: Path, content: bytes) -> None:
    scratch.write_bytes(content)
    with pytest.raises(CheckpointError):
        read_trained(scratch)


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = published_file(tmp_path, random_values(TOY))
    whole = path.read_bytes()
    for keep in (len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:keep])
        with pytest.raises(CheckpointError, match=r"salmonn\.pth: not readable"):
            read_trained(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for name in ("none.pth", "none.safetensors"):
        with pytest.raises(CheckpointError, match=f"{name}: no such file"):
            read_trained(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "no 'model' .* and no 'parameters'"),
        ({"state_dict": {}}, "no 'model' .* and no 'parameters'"),
        ({"model": 3}, "no 'model' .* and no 'parameters'"),
        ([torch.zeros(1)], "expected a dictionary, found list"),
        (torch.zeros(1), "expected a dictionary, found Tensor"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=rf"x\.pth: {message}"):
        read_trained(tmp_path / "x.pth")


# --- plain modules --------------------------------------------------------------------------------


def test_require_fills_a_module_and_reports_what_found_no_place() -> None:
    module = torch.nn.Linear(2, 3)
    state = {"weight": torch.ones(3, 2), "bias": torch.ones(3), "more": torch.ones(1)}
    assert require(module, state, "it") == ["more"]
    assert torch.equal(module(torch.ones(2)), torch.full((3,), 3.0))


def test_require_lists_all_that_is_missing_or_misshapen() -> None:
    message = r"^it: wrong shape weight: \(2, 3\), expected \(3, 2\); missing bias \(3,\)$"
    with pytest.raises(CheckpointError, match=message):
        require(torch.nn.Linear(2, 3), {"weight": torch.ones(2, 3)}, "it")


def test_a_folder_of_shards_is_read_as_one(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "one.bin")
    torch.save({"b": torch.zeros(2)}, tmp_path / "two.bin")
    index = {"weight_map": {"a": "one.bin", "b": "two.bin"}}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    assert read_state(tmp_path).keys() == {"a", "b"}
    (tmp_path / "two.bin").unlink()
    with pytest.raises(CheckpointError, match=r"two\.bin: no such file"):
        read_state(tmp_path)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no model\.safetensors or pytorch_model\.bin"):
        read_state(tmp_path)
