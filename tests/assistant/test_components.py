from pathlib import Path

import pytest

from assistant import components
from assistant.components import PackageFile
from assistant.errors import CheckpointError, ComponentError
from assistant.weights import sha256


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
