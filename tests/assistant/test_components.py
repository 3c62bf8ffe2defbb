import os
from hashlib import sha256
from pathlib import Path

import pytest

from assistant import components
from assistant.components import PackageFile, PackageParts
from assistant.errors import CheckpointError, ComponentError


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
    right = components.sha256(package / "part")
    file = PackageFile("some_data_package", "part", right)
    assert components.locate(file) == package / "part"
    monkeypatch.setattr(components, "sha256", lambda path: pytest.fail("read again"))
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


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackageParts:
    """A file in two packages."""
    for i, data in enumerate((b"wei", b"ghts"), 1):
        folder = tmp_path / f"some_part{i}" / "data"
        folder.mkdir(parents=True)
        (folder.parent / "__init__.py").touch()
        (folder / f"part0{i}.bin").write_bytes(data)
    monkeypatch.syspath_prepend(tmp_path)
    return PackageParts(("some_part1", "some_part2"), sha256(b"weights").hexdigest(), "some.txt")


def test_parts_are_verified_together_once(
    parts: PackageParts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / f"some_part{i}" / "data" / f"part0{i}.bin" for i in (1, 2)]
    assert components.locate_parts(parts) == paths
    monkeypatch.setattr(components, "sha256", lambda *paths: pytest.fail("read again"))
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
