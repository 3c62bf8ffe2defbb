import errno
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from hashlib import sha256 as new_digest
from pathlib import Path

import pytest
from safetensors import SafetensorError

from assistant.errors import CheckpointError, ComponentError, ConfigError
from assistant.files.weights import sha256
from assistant.parts import components, gguf
from assistant.parts import converted as cache_files
from assistant.parts.components import PackageFile, PackageParts
from assistant.parts.tiny import toy_seed


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALMONN_LIVE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "some_data_package"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "part").write_bytes(b"weights")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


DIGEST = "9a129b80d51cf78944d9dbd9fb66a12ec56cc1eb98e2d0ec39e4f94b80c2c3f9"


def test_a_file_of_a_package_is_verified_once(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = sha256(package / "part")
    file = PackageFile("some_data_package", "part", right)
    assert components.locate(file) == package / "part"
    monkeypatch.setattr(cache_files, "sha256", lambda path: pytest.fail("read again"))
    assert components.locate(file) == package / "part"


def test_a_file_that_is_not_the_pinned_one_is_refused(package: Path) -> None:
    with pytest.raises(ComponentError, match="is not the pinned 9a12"):
        components.locate(PackageFile("some_data_package", "part", DIGEST))


def test_what_is_not_installed_is_none(package: Path) -> None:
    assert components.locate(PackageFile("some_data_package", "other", DIGEST)) is None
    assert components.locate(PackageFile("no_such_package_here", "part", DIGEST)) is None


def test_every_source_that_lacks_something_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(components, "locate", lambda file: None)
    with pytest.raises(ComponentError) as caught:
        components.find_llm(["package:smollm2-135m-instruct", "/nowhere/llm"])
    message = str(caught.value)
    assert "package:smollm2-135m-instruct: run `pip install -r requirements/nano.txt" in message
    assert "/nowhere/llm: no such file or folder" in message


@pytest.mark.parametrize("source", ["package:unheard-of", "openai:base"])
def test_sources_that_make_no_sense_are_said_to(source: str) -> None:
    with pytest.raises(ComponentError, match="llm: unknown source"):
        components.find_llm([source])
    with pytest.raises(ComponentError, match="audio encoder: unknown source"):
        components.find_beats([source])


def test_the_first_source_present_is_used(tmp_path: Path) -> None:
    assert components.find_llm(["/nowhere", str(tmp_path), "hub:never/asked"]) == tmp_path


def test_a_beats_path_that_is_no_weights(tmp_path: Path) -> None:
    (tmp_path / "b.pt").write_bytes(b"junk")
    with pytest.raises(CheckpointError, match=r"b\.pt: not readable"):
        components.find_beats([str(tmp_path / "b.pt")])


FETCHED = [
    "chat_template.jinja", "config.json", "generation_config.json", "merges.txt",
    "model-00001-of-00002.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
    "sentencepiece.bpe.model", "spiece.model", "tokenizer.json", "tokenizer.model",
    "tokenizer_config.json", "vocab.txt",
]  # fmt: skip
LEFT_THERE = ["README.md", "model-Q4_K_M.gguf", "onnx/model.onnx", "tf_model.h5", "model.pth"]


def test_a_hub_gives_what_an_llm_and_its_tokenizer_need_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []

    def download(name: str, *, allow_patterns: list[str], local_files_only: bool) -> str:
        assert name == "owner/name"
        for file in FETCHED + LEFT_THERE:
            if any(fnmatch(file, pattern) for pattern in allow_patterns):
                fetched.append(file)
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert components.find_llm(["hub:owner/name"]) == tmp_path
    assert fetched == FETCHED


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackageParts:
    """A file in two packages."""
    for i, data in enumerate((b"wei", b"ghts"), 1):
        folder = tmp_path / f"some_part{i}" / "data"
        folder.mkdir(parents=True)
        (folder.parent / "__init__.py").touch()
        (folder / f"part0{i}.bin").write_bytes(data)
    monkeypatch.syspath_prepend(tmp_path)
    return PackageParts(
        ("some_part1", "some_part2"), new_digest(b"weights").hexdigest(), "some.txt"
    )


def test_parts_are_verified_together_once(
    parts: PackageParts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / f"some_part{i}" / "data" / f"part0{i}.bin" for i in (1, 2)]
    assert components.locate_parts(parts) == paths
    monkeypatch.setattr(cache_files, "sha256", lambda *paths: pytest.fail("read again"))
    assert components.locate_parts(parts) == paths


def test_parts_that_are_not_the_pinned_file_are_refused(
    parts: PackageParts, tmp_path: Path
) -> None:
    components.locate_parts(parts)
    changed = tmp_path / "some_part2" / "data" / "part02.bin"
    changed.write_bytes(b"gths")
    os.utime(changed, ns=(0, 0))
    with pytest.raises(ComponentError, match=r"1 parts after it.*reinstall requirements/some\.txt"):
        components.locate_parts(parts)
    changed.unlink()
    assert components.locate_parts(parts) is None


def test_parts_that_are_not_installed_are_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(components, "locate_parts", lambda parts: None)
    with pytest.raises(ComponentError, match=r"run `pip install -r requirements/small\.txt"):
        components.find_llm(["package:qwen2.5-coder-1.5b-instruct"])


def test_a_gguf_file_is_known_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    found = components.find_llm([str(path)])
    assert isinstance(found, components.GgufParts)
    assert found.paths == (path,)
    os.utime(path, ns=(0, 0))
    assert components.find_llm([str(path)]) != found


# --- the cache of converted models


class Conversion:
    """Stands in for the conversion of the GGUF; tells how often it was done."""

    def __init__(self) -> None:
        self.times = 0

    def convert(self, gguf: Path, folder: Path) -> None:
        self.times += 1
        folder.mkdir()
        for name in ("config.json", "tokenizer.json", "model.safetensors"):
            time.sleep(0.005)  # others get their turn
            (folder / name).write_bytes(name.encode() * 1000)


@pytest.fixture
def conversion(monkeypatch: pytest.MonkeyPatch) -> Conversion:
    stand_in = Conversion()
    monkeypatch.setattr(gguf, "convert", stand_in.convert)
    return stand_in


def converted() -> Path:
    return cache_files.dequantised(Path("llm.gguf"), DIGEST)


def test_a_model_is_converted_once(conversion: Conversion) -> None:
    folder = converted()
    assert (folder / "config.json").read_bytes() == b"config.json" * 1000
    assert converted() == folder
    assert conversion.times == 1
    assert {path.name for path in folder.parent.iterdir()} == {
        folder.name,
        f"{folder.name}.lock",
        "verified",
    }


def test_what_was_verified_is_not_read_again(
    conversion: Conversion, monkeypatch: pytest.MonkeyPatch
) -> None:
    converted()
    monkeypatch.setattr(cache_files, "sha256", lambda path: pytest.fail("read again"))
    converted()


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("damage", ["cut", "empty", "gone", "zeroed"])
def test_a_damaged_folder_is_converted_again(
    conversion: Conversion, name: str, damage: str
) -> None:
    path = converted() / name
    whole = path.read_bytes()
    match damage:
        case "cut":
            path.write_bytes(whole[: len(whole) // 2])
        case "empty":
            path.write_bytes(b"")
        case "gone":
            path.unlink()
        case "zeroed":
            path.write_bytes(whole[:2000] + bytes(4096) + whole[6096:])
    assert (converted() / name).read_bytes() == whole
    assert conversion.times == 2


@pytest.mark.parametrize("text", ["", "{}", "[]", "{"])
def test_a_folder_without_digests_is_converted_again(conversion: Conversion, text: str) -> None:
    (converted() / cache_files.DIGESTS).write_text(text)
    converted()
    assert conversion.times == 2


@pytest.mark.parametrize("damaged", [False, True])
def test_starts_at_once_convert_once(conversion: Conversion, damaged: bool) -> None:
    if damaged:
        (converted() / "config.json").write_bytes(b"")

    def start(_: int) -> bytes:
        return (converted() / "config.json").read_bytes()

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(start, range(6))) == {b"config.json" * 1000}
    assert conversion.times == 1 + damaged


SEVERAL = """
import time
from pathlib import Path

from assistant.parts import converted as cache_files
from assistant.parts import gguf

def convert(gguf, folder):
    folder.mkdir()
    time.sleep(0.05)
    (folder / "config.json").write_text("whole")

gguf.convert = convert
print((cache_files.dequantised(Path("llm.gguf"), "0" * 64) / "config.json").read_text())
"""


def test_processes_that_start_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SEVERAL]
    starts = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [start.communicate()[0] for start in starts] == ["whole\n"] * 2


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        SafetensorError("I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_one_line_with_what_to_do(
    conversion: Conversion, error: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(gguf: Path, folder: Path) -> None:
        conversion.convert(gguf, folder)
        raise error

    monkeypatch.setattr(gguf, "convert", full)
    with pytest.raises(ComponentError, match="No space left") as caught:
        converted()
    told = str(caught.value)
    assert told.startswith(f"{tmp_path / 'cache'}: ")
    assert "make room, or set SALMONN_LIVE_CACHE" in told
    assert "\n" not in told
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


# --- where a part comes from


def test_the_source_that_is_used_is_found_without_loading_it(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = sha256(package / "part")
    there = PackageFile("some_data_package", "part", right)
    gone = PackageFile("no_such_package_here", "part", right)
    monkeypatch.setattr(components, "PINNED", {"package:a": (gone,), "package:b": (there, there)})
    sources = ["/nowhere", "package:a", "package:b", str(package)]
    assert components.origin(sources) == ("package:b", None)
    assert components.origin(["package:a", str(package)]) == (str(package), package)
    assert components.origin(["toy:3"]) == ("toy:3", None)
    assert components.origin(["shipped:nano/tagger.safetensors"])[1] is not None


@pytest.mark.parametrize(("seed", "taken"), [("9" * 9, True), ("9" * 10, False)])
def test_the_longest_seed_of_a_toy_and_one_digit_more(seed: str, taken: bool) -> None:
    if taken:
        assert toy_seed([f"toy:{seed}"]) == int(seed)
    else:
        with pytest.raises(ConfigError, match="9 digits"):
            toy_seed([f"toy:{seed}"])
