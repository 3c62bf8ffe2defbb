"""Calling the program as somebody at a terminal does."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cli import main as cli

Call = Callable[..., tuple[int, str, str]]


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object
) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    monkeypatch.setattr(sys, "argv", ["salmonn-live", *map(str, words)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    out = capsys.readouterr()
    code = caught.value.code
    return (code if isinstance(code, int) else 0), out.out, out.err


DEMO = Path(__file__).parents[2] / "demo" / "kitchen.flac"
