"""A model of packed weights, run by ONNX Runtime, says what transformers' says."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
import transformers
from gguf import GGMLQuantizationType as Kind
from transformers import Qwen2Config, Qwen2ForCausalLM

from assistant.config import LlmConfig
from assistant.errors import ComponentError
from assistant.files.gguf_file import GgufFile
from assistant.llm.engines.engine import GROWTH, TransformersEngine
from assistant.llm.engines.onnx_engine import OnnxEngine
from assistant.llm.llm import Llm
from assistant.llm.loading import choose_engine
from assistant.llm.packed_llm import PackedLlm, load_packed
from assistant.llm.weights import packed_store
from assistant.llm.weights.read import GGUF_NAMES
from assistant.parts import pack
from assistant.parts.components import GgufParts
from assistant.parts.tiny import toy_llm
from tests.assistant.llm.test_packed_weights import raw
from tests.assistant.test_memory import LINUX, resident

WIDTH, INNER, LAYERS, HEADS, KEYS = 256, 512, 2, 4, 2
CHAT = (
    "{% for m in messages %}<s>{{ m.role }}\n{{ m.content }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)
AUTO = LlmConfig(weights=["none"], lora=None, quantisation="auto")


# --- a model in a file ----------------------------------------------------------------------------


def kind_of(name: str) -> Kind:
    """A mixture, as in the files that are in use."""
    if name == "output" or ("ffn_down" in name and ".0." in name) or "attn_v" in name:
        return Kind.Q6_K
    return Kind.Q8_0 if "attn_k" in name else Kind.Q4_K


@pytest.fixture(scope="module")
def qwen() -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=259,
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KEYS,
        max_position_embeddings=1024,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=1,
    )
    return Qwen2ForCausalLM(config).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def file(qwen: Qwen2ForCausalLM, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GGUF file with a tokenizer; `qwen` is given the weights that its blocks stand for."""
    path = tmp_path_factory.mktemp("gguf") / "toy.gguf"
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_block_count(LAYERS)
    writer.add_context_length(1024)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEYS)
    writer.add_rope_freq_base(1e6)
    writer.add_layer_norm_rms_eps(1e-6)
    tokenizer = toy_llm(3)[1]
    tokens = [*tokenizer.convert_ids_to_tokens(list(range(258))), "ab"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, *[1] * 257])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_chat_template(CHAT)
    state = qwen.state_dict()
    for seed, (name, tensor) in enumerate(state.items()):
        stem, _, what = name.rpartition(".")
        if stem.startswith("model.layers."):
            _, _, layer, part = stem.split(".", 3)
            given = f"blk.{layer}.{GGUF_NAMES[part]}"
        else:
            given = GGUF_NAMES[stem]
        if tensor.ndim == 1:
            tensor.copy_(torch.randn(tensor.shape) * 0.1 + (what == "weight"))
            writer.add_tensor(f"{given}.{what}", tensor.numpy())
            continue
        kind = kind_of(given)
        rows, columns = tensor.shape
        blocks = raw(kind, rows, columns, seed)
        tensor.copy_(torch.from_numpy(gguf.quants.dequantize(blocks, kind)))
        writer.add_tensor(f"{given}.{what}", blocks, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALMONN_LIVE_CACHE", str(tmp_path / "cache"))


def parts_of(path: Path, folder: Path, sizes: list[int]) -> list[Path]:
    data, paths = path.read_bytes(), []
    for i, size in enumerate([*sizes, len(data)]):
        part, data = data[:size], data[size:]
        paths.append(folder / f"part{i}.bin")
        paths[-1].write_bytes(part)
    return paths


def packed(path: Path, config: LlmConfig = AUTO) -> Path:
    folder = pack.packed_folder(GgufParts((path,), path.name), config)
    assert folder is not None
    return folder


def test_parts_are_read_where_they_lie(file: Path, tmp_path: Path) -> None:
    whole = GgufFile([file])
    header = 40_000
    cut = GgufFile(parts_of(file, tmp_path, [header, 100_001, 7, 50_000]))
    assert cut.architecture == "qwen2"
    assert cut.setting("rope.freq_base") == 1e6
    for name in ("token_embd.weight", "blk.1.ffn_down.weight", "output_norm.weight"):
        ours, theirs = cut.raw(name), whole.raw(name)
        assert ours[0] is theirs[0]
        assert np.array_equal(ours[1], theirs[1])
    with pytest.raises(ComponentError, match="no tensor blk.9"):
        cut.raw("blk.9.ffn_up.weight")
    with pytest.raises(ComponentError, match="no qwen2.expert_count"):
        cut.setting("expert_count")


def test_a_file_that_is_cut_short_is_said_to_be(file: Path, tmp_path: Path) -> None:
    first = parts_of(file, tmp_path, [60_000])[0]
    with pytest.raises(ComponentError, match=r"part0\.bin"):
        GgufFile([first]).raw("output.weight")
    first.write_bytes(b"GGU")
    with pytest.raises(ComponentError, match="not a GGUF file"):
        GgufFile([first])


COSINES = {"auto": 0.9995, "8bit": 0.999, "4bit": 0.97}
"""Least cosine between logits and those of fp32: inputs are rounded to 8 bits, too."""


@pytest.mark.parametrize("quantisation", COSINES)
@torch.inference_mode()
def test_logits_are_those_of_transformers(
    qwen: Qwen2ForCausalLM, file: Path, quantisation: str
) -> None:
    config = AUTO.model_copy(update={"quantisation": quantisation})
    model, _ = load_packed(packed(file, config), threads=1)
    exact = TransformersEngine(qwen)
    ours, theirs = model.engine.start(), exact.start()
    for i, n in enumerate([20, 1, 3, GROWTH + 5, 1]):
        ids = torch.randint(0, 259, (n,), generator=torch.Generator().manual_seed(i))
        found = model.engine.extend(ours, model.get_input_embeddings()(ids))
        wanted = exact.extend(theirs, qwen.get_input_embeddings()(ids))
        assert model.engine.length(ours) == exact.length(theirs)
        assert torch.cosine_similarity(found, wanted, dim=0) > COSINES[quantisation]


@torch.inference_mode()
def test_taking_back_is_exact(file: Path) -> None:
    model, _ = load_packed(packed(file), threads=1)
    engine, embed = model.engine, model.get_input_embeddings()
    first, second, other = (torch.arange(a, b) for a, b in ((0, 40), (40, 44), (50, 80)))
    fresh = engine.start()
    engine.append(fresh, embed(first))
    wanted = engine.extend(fresh, embed(second))
    state = engine.start()
    engine.append(state, embed(first))
    twin = engine.fork(state)
    engine.append(state, embed(other))
    engine.truncate(state, 40)
    for again in (state, twin):
        assert torch.equal(engine.extend(again, embed(second)), wanted)


@torch.inference_mode()
def test_what_a_conversation_begins_with_is_kept(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = packed(file)
    ids, next_ids = list(range(3, 40)), torch.tensor([50, 51])

    def goes_on(model: PackedLlm, ids: list[int]) -> torch.Tensor:
        state, last = model.begun(ids, at_once=8)
        assert torch.equal(last, expected)
        return model.engine.extend(state, model.get_input_embeddings()(next_ids))

    model, _ = load_packed(folder, threads=1)
    fresh = model.engine.start()
    for piece in model.get_input_embeddings()(torch.tensor(ids)).split(8):
        expected = model.engine.append(fresh, piece)
    wanted = model.engine.extend(fresh, model.get_input_embeddings()(next_ids))

    assert torch.equal(goes_on(model, ids), wanted)
    (kept,) = folder.glob("begun-*")
    again, _ = load_packed(folder, threads=1)
    with monkeypatch.context() as patched:
        patched.setattr(OnnxEngine, "append", None)  # nothing is computed
        _, last = again.begun(ids, at_once=8)
    assert torch.equal(last, expected)
    assert torch.equal(goes_on(again, ids), wanted)
    kept.write_bytes(kept.read_bytes()[:100])
    assert torch.equal(goes_on(again, ids), wanted)
    assert kept.stat().st_size > 100
    again.begun([5, 6], at_once=8)
    assert kept.exists()
    again.begun([5, 7], at_once=8)
    assert len(list(folder.glob("begun-*"))) == 2
    assert not kept.exists()


@LINUX
def test_nothing_that_was_read_stays_in_memory(file: Path) -> None:
    folder = packed(file)
    model, _ = load_packed(folder, threads=1)
    assert resident(folder / "weights.bin") == 0
    made, read = (model.begun([3, 4, 5], at_once=8) for _ in range(2))
    assert torch.equal(made[1], read[1])
    (kept,) = folder.glob("begun-*")
    assert resident(kept) == 0


def test_loading_imports_no_compiler(file: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from assistant.llm.packed_llm import load_packed\n"
        f"import assistant.model; load_packed(Path({str(packed(file))!r}), 1)\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)


def test_a_cache_may_be_anywhere(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, link = tmp_path / "somewhere else, größer", tmp_path / "link"
    there.mkdir()
    link.symlink_to(there, target_is_directory=True)
    monkeypatch.setenv("SALMONN_LIVE_CACHE", str(link))
    assert load_packed(packed(file), threads=1)[0].begun([3, 4, 5], at_once=8)[1].any()


@torch.inference_mode()
def test_a_cache_that_cannot_be_written_does_not_matter(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = packed(file)
    model, _ = load_packed(folder, threads=1)
    wanted = model.begun([3, 4, 5], at_once=8)[1]
    for old in folder.glob("begun-*"):
        old.unlink()

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    assert torch.equal(model.begun([3, 4, 5], at_once=8)[1], wanted)
    assert not list(folder.glob("begun-*"))


def test_an_llm_of_them_talks_as_its_file_says(file: Path) -> None:
    model, tokenizer = load_packed(packed(file), threads=1)
    llm = Llm(model, tokenizer, [])
    assert (llm.width, llm.context, llm.end_id) == (WIDTH, 1024, 1)
    assert llm.stop_ids == {1}
    assert llm.ids("hello") == toy_llm(3)[1].encode("hello", add_special_tokens=False)
    assert tokenizer.chat_template == CHAT
    assert llm.embed([]).shape == (0, WIDTH)
    assert llm.embed([5, 7]).dtype is torch.float32
    again = llm.over(model, choose_engine(model, AUTO))
    assert again.engine is llm.engine is model.engine
    assert torch.equal(again.embed([5, 7]), llm.embed([5, 7]))


# --- the cache ------------------------------------------------------------------------------------


@pytest.fixture
def packings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Folders that are made."""
    made: list[Path] = []
    real = packed_store.store

    def noted(folder: Path, *rest: object) -> None:
        made.append(folder)
        real(folder, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(pack, "store", noted)
    return made


def test_what_was_packed_is_found_again(file: Path, packings: list[Path]) -> None:
    folder = packed(file)
    assert packed(file) == folder
    assert packings == [folder]
    assert packed(file, AUTO.model_copy(update={"quantisation": "8bit"})) != folder
    assert len(packings) == 2


def changed_byte(folder: Path) -> None:
    with (folder / "weights.bin").open("r+b") as opened:
        opened.seek(5000)
        byte = opened.read(1)
        opened.seek(5000)
        opened.write(bytes([byte[0] ^ 1]))


def cut_short(folder: Path) -> None:
    with (folder / "weights.bin").open("r+b") as opened:
        opened.truncate(100_000)


def without_index(folder: Path) -> None:
    (folder / "index.json").write_text("{", encoding="utf-8")


def of_another_format(folder: Path) -> None:
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps(index | {"format": 0}))


@pytest.mark.parametrize("damage", [changed_byte, cut_short, without_index, of_another_format])
def test_a_damaged_cache_is_made_anew(file: Path, packings: list[Path], damage: object) -> None:
    folder = packed(file)
    before = (folder / "weights.bin").read_bytes()
    assert callable(damage)
    damage(folder)
    assert packed(file) == folder
    assert len(packings) == 2
    assert (folder / "weights.bin").read_bytes() == before


def test_a_folder_of_safetensors_is_packed_in_eight_bits(
    qwen: Qwen2ForCausalLM, file: Path, tmp_path: Path
) -> None:
    qwen.save_pretrained(tmp_path / "hub")
    toy_llm(3)[1].save_pretrained(tmp_path / "hub")
    folder = pack.packed_folder(tmp_path / "hub", AUTO)
    assert folder is not None
    model, _ = load_packed(folder, threads=1)
    ids = torch.arange(30)
    with torch.inference_mode():
        found = model.engine.extend(model.engine.start(), model.get_input_embeddings()(ids))
        wanted = qwen(ids[None]).logits[0, -1]
    assert torch.cosine_similarity(found, wanted, dim=0) > 0.999


def others(tmp_path: Path) -> Iterator[tuple[Path, LlmConfig]]:
    config = transformers.GPT2Config(vocab_size=50, n_embd=16, n_layer=1, n_head=2)
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path / "gpt2")
    yield tmp_path / "gpt2", AUTO
    toy_llm(3)[0].save_pretrained(tmp_path / "llama")  # heads of 12 numbers
    yield tmp_path / "llama", AUTO
    yield tmp_path / "nothing", AUTO
    for other in ({"quantisation": "none"}, {"engine": "transformers"}):
        yield tmp_path / "llama", AUTO.model_copy(update=other)


def test_what_runs_otherwise_is_not_packed(tmp_path: Path) -> None:
    for folder, config in others(tmp_path):
        assert pack.packed_folder(folder, config) is None


def test_a_file_in_parts_that_cannot_run_packed_is_refused(file: Path, tmp_path: Path) -> None:
    source = GgufParts(tuple(parts_of(file, tmp_path, [40_000])), "digest")
    with pytest.raises(ComponentError, match="in parts runs as it is"):
        pack.as_folder(source)


def test_a_file_in_parts_of_another_kind_says_which(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = GgufParts(tuple(parts_of(file, tmp_path, [40_000])), "parts")
    monkeypatch.setattr(GgufFile, "architecture", "llama")
    with pytest.raises(ComponentError, match="in parts has to be a qwen2; this is a llama"):
        pack.packed_folder(source, AUTO)
