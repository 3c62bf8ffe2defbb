"""The classes of sound that `small` knows are those of the tagger that ships."""

import pytest

from assistant.ear.tagger import UNKNOWN_SOUND, WindowTagger, load_tagger
from assistant.files.weights import SHIPPED
from lab.classes import sound_classes


@pytest.fixture(scope="module")
def tagger() -> WindowTagger:
    found = load_tagger(SHIPPED / "small" / "tagger.safetensors")
    assert isinstance(found, WindowTagger)
    return found


def test_the_shipped_tagger_names_the_classes_of_the_file(tagger: WindowTagger) -> None:
    known = sound_classes()
    assert [name for name in tagger.names if name in known.classes] == list(known.classes)
    assert set(tagger.names) == {*known.classes, *known.families, UNKNOWN_SOUND}


def test_the_shipped_tagger_has_the_families_of_the_file(tagger: WindowTagger) -> None:
    classes = sound_classes().classes.items()
    families = {name: known.family for name, known in classes if known.family is not None}
    assert tagger.families == families
