from pathlib import Path

import pytest

from assistant.parts.checkpoint import read_trained, write_folder
from tests.assistant.parts.models import CARD, TOY, published_file, random_values


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    weights = read_trained(published_file(tmp_path, random_values(TOY)))
    write_folder(tmp_path / "deep" / "ours", weights, CARD)
    return tmp_path / "deep" / "ours"
