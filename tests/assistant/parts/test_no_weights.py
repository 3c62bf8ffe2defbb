"""Files that are no weights are refused by name."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.errors import CheckpointError
from assistant.files.weights import read_state
from assistant.parts.checkpoint import read_trained
from tests.assistant.parts.models import TOY, published_file, random_values


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
