"""The shipped configuration: published values, and a word about every key."""

import re

import pytest

from assistant.files.presets import load_preset, shipped_config
from tests.assistant.configs import PRESETS, TEXT, load


@pytest.mark.parametrize("name", PRESETS)
def test_every_shipped_preset_is_valid(name: str) -> None:
    assert load_preset(shipped_config(), name)[0] == name


@pytest.mark.parametrize("name", ["salmonn-7b", "salmonn-13b"])
def test_the_salmonn_presets_have_the_published_values(name: str) -> None:
    config = load(shipped_config(), name)
    assert config.aligner.model_dump() == {
        "window_features": 17,
        "stride_features": 17,
        "queries": 1,
        "transcript": False,
        "qformer": {"layers": 2, "width": 768, "heads": 12, "mlp_width": 3072, "dropout": 0.1},
        "token_length": None,
    }
    assert config.llm.lora is not None
    assert config.llm.lora.model_dump() == {
        "rank": 8,
        "alpha": 32.0,
        "dropout": 0.1,
        "targets": ["q_proj", "v_proj"],
        "scale": None,
    }
    assert config.generation.model_dump(exclude={"seed"}) == {
        "max_new_tokens": 200,
        "beams": 4,
        "sample": False,
        "temperature": 1.0,
        "top_p": 0.9,
        "repetition_penalty": 1.0,
        "length_penalty": 1.0,
    }
    assert config.prompt.template == "USER: <Speech>{audio}</Speech> {instruction}\nASSISTANT:"
    assert config.prompt.bos
    assert config.prompt.stop == ["</s>"]
    assert (config.encoding.mode, config.encoding.pad_to_s) == ("recompute", 30.0)


def test_the_salmonn_presets_name_the_published_parts() -> None:
    large, small = load(shipped_config(), "salmonn-13b"), load(shipped_config(), "salmonn-7b")
    assert large.llm.weights == ["models/vicuna-13b-v1.1", "hub:lmsys/vicuna-13b-v1.1"]
    assert small.llm.weights == ["models/vicuna-7b-v1.5", "hub:lmsys/vicuna-7b-v1.5"]
    assert (large.checkpoint, small.checkpoint) == (
        "models/salmonn_v1.pth",
        "models/salmonn_7b_v0.pth",
    )


SELF_EXPLANATORY = {
    *(f"presets.nano.aligner.qformer.{key}" for key in ("layers", "width", "heads", "mlp_width")),
    *(f"presets.nano.llm.lora.{key}" for key in ("rank", "targets")),
    *(
        f"presets.nano.generation.{key}"
        for key in ("max_new_tokens", "temperature", "repetition_penalty")
    ),
    "presets.nano.llm.weights",  # explained at speech_encoder
}


def undocumented(text: str) -> set[str]:
    """Keys with a value, in the sections that teach, and no comment on their line or above it."""
    found, path, above = set(), list[tuple[int, str]](), ""
    for line in text.splitlines():
        if match := re.match(r"( *)([\w-]+):(?= |$)(.*)", line):
            indent, key, value = len(match[1]), match[2], match[3].strip()
            path = [*((i, k) for i, k in path if i < indent), (indent, key)]
            name = ".".join(k for _, k in path)
            has_value = bool(value) and not value.startswith("#")
            taught = name.startswith(("presets.nano.", "endpointing.", "turns."))
            if taught and has_value and " # " not in line and not above.startswith("#"):
                found.add(name)
        above = line.strip()
    return found


def test_every_key_of_nano_and_endpointing_is_explained_where_it_stands() -> None:
    assert undocumented(TEXT) - SELF_EXPLANATORY == set()


@pytest.mark.parametrize("value", ["3", "0.5", "soft", "null"])
@pytest.mark.parametrize(
    ("section", "name"),
    [
        ("endpointing:", "endpointing.knob"),
        ("turns:", "turns.knob"),
        ("    generation:", "presets.nano.generation.knob"),
        ("      qformer:", "presets.nano.aligner.qformer.knob"),
    ],
)
def test_a_new_key_without_a_word_is_noticed(section: str, name: str, value: str) -> None:
    indent = " " * (len(section) - len(section.lstrip()) + 2)
    start, end = TEXT.split(f"\n{section}\n", 1)
    text = f"{start}\n{section}\n{indent}knob: {value}\n{end}"
    assert undocumented(text) - SELF_EXPLANATORY == {name}
    explained = text.replace(f"knob: {value}\n", f"knob: {value} # metres\n")
    assert undocumented(explained) - SELF_EXPLANATORY == set()
