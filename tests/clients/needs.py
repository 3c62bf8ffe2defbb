"""What tests of people's side need of the machine."""

import os
import shutil
from typing import NoReturn

import pytest


def program(name: str, package: str) -> str:
    """Where a program is; without it the test is skipped, and on CI fails.

    Args:
        name: of the program.
        package: of Debian, that brings it.
    """
    found = shutil.which(name)
    if found is None:
        missing(f"{name} is missing: apt-get install {package}")
    return found


def missing(what: str) -> NoReturn:
    """The test cannot run here; on CI that is an error."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)
