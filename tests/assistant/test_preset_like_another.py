"""A preset that is `like` another one says only what it changes."""

from pathlib import Path

import pytest

from assistant.config import LoraConfig
from assistant.errors import ConfigError
from assistant.files.presets import load_preset, shipped_config
from tests.assistant.configs import load


def own(folder: Path, text: str) -> Path:
    path = folder / "own.yaml"
    path.write_text(text)
    return path


SMALL_WITH_ANOTHER_LLM = """\
preset: mine
presets:
  mine: { like: small, llm: { weights: [models/another] } }
"""


def test_a_preset_may_be_like_a_shipped_one(tmp_path: Path) -> None:
    name, mine = load_preset(own(tmp_path, SMALL_WITH_ANOTHER_LLM))
    small = load(shipped_config(), "small")
    llm = small.llm.model_copy(update={"weights": ["models/another"]})
    assert (name, mine) == ("mine", small.model_copy(update={"llm": llm}))


def test_a_preset_may_be_like_one_that_is_like_another(tmp_path: Path) -> None:
    text = SMALL_WITH_ANOTHER_LLM + "  ours: { like: mine, llm: { dtype: float32 } }\n"
    llm = load(own(tmp_path, text), "ours").llm
    assert (llm.weights, llm.dtype) == (["models/another"], "float32")


def test_a_shipped_preset_keeps_what_a_file_does_not_change(tmp_path: Path) -> None:
    path = own(tmp_path, "presets: { mini: { generation: { max_new_tokens: 50 } } }\n")
    mini = load(shipped_config(), "mini")
    generation = mini.generation.model_copy(update={"max_new_tokens": 50})
    assert load(path, "mini") == mini.model_copy(update={"generation": generation})


def test_a_shipped_name_may_be_given_to_another_preset(tmp_path: Path) -> None:
    path = own(tmp_path, "presets: { small: { like: nano } }\n")
    assert load(path, "small") == load(shipped_config(), "nano")


def test_a_section_takes_the_place_of_null_and_null_that_of_a_section(tmp_path: Path) -> None:
    text = "presets: { mine: { like: nano, llm: { lora: null }, checkpoint: null } }\n"
    assert load(own(tmp_path, text), "mine").llm.lora is None
    text = "presets: { mine: { like: small, reads: audio, llm: { lora: { rank: 4 } } } }\n"
    assert load(own(tmp_path, text), "mine").llm.lora == LoraConfig(rank=4)


def test_a_list_is_given_whole(tmp_path: Path) -> None:
    text = "presets: { mine: { like: small, prompt: { examples: [] } } }\n"
    assert load(own(tmp_path, text), "mine").prompt.examples == []


@pytest.mark.parametrize(
    ("presets", "message"),
    [
        ("{ mine: { like: smal } }", r"presets\.mine\.like: unknown 'smal'; known: nano, .*mine"),
        ("{ mine: { like: 7 } }", r"presets\.mine\.like: unknown 7; known: nano"),
        ("{ mine: { like: [small] } }", r"presets\.mine\.like: unknown \['small'\]; known: nano"),
        ("{ mine: { like: null } }", r"presets\.mine\.like: unknown None; known: nano"),
        ("{ mine: { like: mine } }", r"presets\.mine\.like: mine is like itself"),
        ("{ mine: { like: a }, a: { like: b }, b: { like: a } }",
         r"presets\.b\.like: a is like itself"),
        ("{ mine: { like: a }, a: 3 }", r"presets\.a: expected a section"),
        ("{ mine: { like: small, llm: { colour: red } } }", r"presets\.mine\.llm\.colour: unknown"),
        ("{ mine: { like: small, llm: { like: nano } } }", r"presets\.mine\.llm\.like: unknown"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_like_names_its_key(
    tmp_path: Path, presets: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        load(own(tmp_path, f"presets: {presets}\n"), "mine")


def test_a_long_chain_of_presets_ends(tmp_path: Path) -> None:
    chain = "".join(f"  p{n}: {{ like: p{n + 1} }}\n" for n in range(5000))
    path = own(tmp_path, f"presets:\n{chain}  p5000: {{ like: tiny }}\n")
    assert load(path, "p0") == load(shipped_config(), "tiny")
