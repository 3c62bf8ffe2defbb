"""A recipe's names, references, kinds, keys and splits are checked when it is read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from assistant.errors import ConfigError
from lab.recipe.recipe import load_recipe, needed_by
from tests.lab.recipe.toy import RECIPE, recipe


def put(*path: str, value: object) -> Callable[[dict[str, Any]], None]:
    """A change: the value at a path of keys; None: the key is dropped."""

    def change(values: dict[str, Any]) -> None:
        for key in path[:-1]:
            values = values[key]
        if value is None:
            del values[path[-1]]
        else:
            values[path[-1]] = value

    return change


def test_the_toy_is_right() -> None:
    assert set(recipe().runs) == {"beats", "align", "one", "two"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            put("runs", "one", "train", value={"nothing": 1.0}),
            "runs.one.train: no corpus",
        ),
        (put("runs", "one", "watch", value={"nothing": 1}), "runs.one.watch: no corpus 'nothing'"),
        (put("runs", "one", "start_from", value="three"), "runs.one.start_from: no run of stage"),
        (put("runs", "one", "start_from", value="beats"), "or mean 'beats'"),
        (put("runs", "one", "ear", value="nose"), "runs.one.ear: no ear with features encoders"),
        (put("runs", "one", "ear", value="bank"), "runs.one.ear: no ear with features encoders"),
        (put("runs", "two", "lead", "store", value="kinds"), "runs.two.lead: no corpus 'kinds'"),
        (put("ears", "ear", "audio_encoder", value="align"), "no run of stage tag 'align'"),
        (put("corpora", "kinds", "of", value=["nothing"]), "corpora.kinds.of: no corpus"),
        (put("means", "both", value={"beats": 1.0}), "means.both: no run of stage ctc or read"),
        (put("means", "both", value={"one": 0.0}), "greater than 0"),
        (put("means", "one", value={"two": 1.0}), "one: is the name of two things"),
        (put("runs", "One", value=RECIPE["runs"]["one"]), "should match pattern"),
        (
            put("ships", "toy", "files", "weights.safetensors", "of", value="beats"),
            "ships.toy.files.weights.safetensors: no step that makes this file 'beats'",
        ),
        (
            put("ships", "toy", "files", "x", value={"of": "both", "sha256": "0" * 64}),
            "files.x: no",
        ),
        (
            put("ships", "toy", "files", "beats.safetensors", "sha256", value="12"),
            "should match pattern",
        ),
        (put("runs", "align", "start_from", value="both"), "a circle: "),
        (put("corpora", "words", "kind", value="whale song"), "corpora.words.kind"),
        (put("corpora", "words", "count", value=3), "count: not a key of kind speechocean"),
        (put("corpora", "still", "split", value="test"), "corpora.still.split"),
        (put("corpora", "kinds", "split", value="report"), "kind details has none for report"),
        (put("corpora", "kinds", "of", value=["words", "still"]), "takes from one corpus"),
        (put("corpora", "kinds", "transcribe", value=3), "has no recordings of its own"),
        (
            put("corpora", "said", value={"kind": "synthetic", "live": True}),
            "live: of kind synthetic only where noisy",
        ),
        (
            put("runs", "one", "train", value={"watched": 1.0}),
            "is of split choose, and trains",
        ),
        (put("runs", "one", "train", value={"reported": 1.0}), "of split report, and trains here"),
        (put("runs", "one", "watch", value={"reported": 1}), "of split report, and chooses here"),
        (put("runs", "one", "watch", value={"words": 1}), "of split train, and chooses here"),
        (put("corpora", "watched", "split", value="dev"), "of split dev, and chooses here"),
        (put("ships", "toy", "report", value=["watched"]), "of split choose, and reports here"),
        (put("ships", "toy", "report", value=[]), "ships.toy.report: names no corpus"),
        (put("took", value=[{"corpora": ["x"], "minutes": 1.0, "machine": ""}]), "took.0: no cor"),
    ],
)
def test_what_does_not_resolve_is_refused(
    change: Callable[[dict[str, Any]], None], message: str
) -> None:
    with pytest.raises(ValidationError) as found:
        recipe(change)
    told = str(found.value).replace("\n  ", ": ").replace("\n", " ")
    assert message in told, told


def test_sets_that_did_both_need_a_reason() -> None:
    def before_they_were_apart(values: dict[str, Any]) -> None:
        values["corpora"]["watched"]["split"] = "dev"
        values["ships"]["toy"]["report"] = []
        values["dev_reports"] = "nobody thought of it"

    assert recipe(before_they_were_apart).dev_reports


def test_a_file_is_named_in_its_errors(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**RECIPE, "runz": {}}))
    with pytest.raises(ConfigError, match=r"mine\.yaml\.runz: unknown key"):
        load_recipe(path)
    path.write_text(yaml.safe_dump({**RECIPE, "means": {"both": {"three": 1.0}}}))
    with pytest.raises(ConfigError, match=r"mine\.yaml: means\.both: no run .* 'three'"):
        load_recipe(path)


def test_everything_that_something_comes_from_is_known() -> None:
    assert needed_by(recipe(), "align") == {"align", "words", "watched", "beats", "still"}
    assert "reported" not in needed_by(recipe(), "toy")
