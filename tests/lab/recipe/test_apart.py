"""What trains, what chooses and what reports share no clip and no source: an overlap is refused."""

from pathlib import Path
from typing import Any

import pytest

from assistant.errors import ConfigError
from lab import manifest
from lab.manifest import Row
from lab.recipe.apart import require_apart
from tests.lab.recipe.toy import do, material, steps


def corpus(folder: Path, *rows: Row) -> tuple[str, Path]:
    manifest.write(folder / "manifest.jsonl", list(rows))
    return folder.name, folder / "manifest.jsonl"


def test_the_same_file_is_the_same_clip_wherever_it_is_said_to_be(tmp_path: Path) -> None:
    a = corpus(tmp_path / "a", Row("1.wav", ""))
    b = corpus(tmp_path / "b", Row("1.wav", ""))
    require_apart([a], [b], [])  # other folders, other files
    c = corpus(tmp_path / "c", Row(str(tmp_path / "a" / "1.wav"), "", offset=9))
    with pytest.raises(ConfigError, match=r"c: .*a/1\.wav' is in a, too, which trains"):
        require_apart([a], [c], [])


@pytest.mark.parametrize(("place", "said"), [((0, 1), "trains"), ((1, 2), "chooses")])
def test_what_was_made_from_one_source_is_not_apart(
    tmp_path: Path, place: tuple[int, int], said: str
) -> None:
    groups: list[list[tuple[str, Path]]] = [[], [], []]
    groups[place[0]].append(corpus(tmp_path / "a", Row("1.wav", "", sources=("rain/7", "x"))))
    groups[place[1]].append(corpus(tmp_path / "b", Row("9.wav", "", sources=("rain/7",))))
    with pytest.raises(ConfigError, match=rf"b: 'rain/7' is in a, too, which {said}"):
        require_apart(*groups)


def test_a_roughened_copy_has_its_original_for_a_source(tmp_path: Path) -> None:
    original = corpus(tmp_path / "a", Row("1.wav", ""))
    copy = corpus(tmp_path / "b", Row("0.flac", "", sources=(str(tmp_path / "a" / "1.wav"),)))
    with pytest.raises(ConfigError, match=r"b: .*1\.wav' is in a, too"):
        require_apart([original], [], [copy])


def test_corpora_of_one_use_may_share(tmp_path: Path) -> None:
    a = corpus(tmp_path / "a", Row("1.wav", "", sources=("s",)))
    b = corpus(tmp_path / "b", Row("1.wav", "", sources=("s",)))
    require_apart([a, b], [], [])


def test_a_recipe_with_an_overlap_is_refused_before_it_trains(tmp_path: Path) -> None:
    data = material(tmp_path / "data")
    listing = data / "speech" / "speechocean762.jsonl"
    lines = listing.read_text().splitlines(keepends=True)
    file = lines[0].split('"')[3]
    held_out = next(line for line in reversed(lines) if '"dev"' in line)
    listing.write_text("".join([*lines, held_out.replace(held_out.split('"')[3], file)]))

    def without_beats(values: dict[str, Any]) -> None:
        values["ears"]["ear"].pop("audio_encoder")

    with pytest.raises(ConfigError, match=rf"{file}' is in words, too, which trains"):
        do(steps(tmp_path / "runs", without_beats), data)
    trained = tmp_path / "runs" / "trained"
    assert list(trained.glob("*/state.pt")) == []
