"""Tables of figures in a terminal of 80 columns: every word, every number whole."""

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.common import cell, show, without

Rows = list[dict[str, Any]]
MS = 12345.678
SHARE = 0.0001234

WIDEST: dict[str, Rows] = {
    "batching": [
        {"streams": 16, "one by one, ms": MS, "together, ms": MS, "gain": 1.23, "same bits": False}
    ],
    "cascade": [
        {"utterance, s": 10.0, "faster-whisper, ms": MS, "llama.cpp, ms": MS, "cascade, ms": MS,
         "nothing hidden, ms": MS, "from the endpoint, ms": MS, "begun at the pause, ms": MS,
         "times faster, nothing hidden": 12.3, "times faster, from the endpoint": 123.4},
    ],
    "encoder_streaming": [
        {"value": 0.32, "WER, %": 100.0, "sounds right, %": 97.5, "cosine": SHARE,
         "real-time factor": 0.0456},
    ],
    "endpointing, backgrounds": [
        {"background": "dishes clattering, 20 dB"}
        | dict.fromkeys((f"{name}, {wait} ms" for name in ("webrtc 1", "silero 0.5")
                         for wait in (320, 400, 500)), 0.876),
    ],
    "endpointing": [
        {"detector": "silero 0.5, 400 ms", "F1": SHARE, "missed, %": 12.3,
         "false starts per hour": 1234.5, "cut in two, %": 12.3, "and answered in two, %": 12.3,
         "end to decision, ms": MS},
    ],
    "engine": [
        {"engine": "ONNX Runtime, packed", "positions": 64, "prefill, ms": MS,
         "tokens per second": 123.4, "prefill, times llama.cpp's speed": 12.3,
         "decoding, times": 1.23},
    ],
    "latency": [
        {"utterance, s": 20.0, "from the endpoint, p50, ms": MS, "p95, ms": MS,
         "nothing hidden, p50, ms": MS, "p95, ms ": MS, "encode, ms": MS, "prefill, ms": MS,
         "tail, ms": MS, "token, ms": MS, "at the end, ms": MS, "times faster": 123.4,
         "nothing hidden": 12.3},
    ],
    "listening": [{"audio": "digital silence", "CPU seconds per second": SHARE}],
    "long_audio": [
        {"seconds": 600, "audio tokens": 3750, "encode, ms per s": MS, "WER ask, %": 123.4,
         "WER replay, %": 12.3},
    ],
    "resume": [
        {"conversation": "settings of a session", "events": 1234, "points": 1000, "breaks": 1234,
         "different": 1000, "s": 12345},
    ],
    "soak": [{"minute": 59.5, "CPU seconds per second": SHARE, "resident, MB": 12345.0}],
    "sounds": [
        {"in %": "layer 2, last and BEATs, as nano hears", "ESC-10 fold 4": 97.5,
         "all classes": 83.2},
    ],
    "spoken": [
        {"kind": "commands", "asked": 123, "right": 123, "claims an act": 123,
         "first token after, ms": MS},
    ],
    "streams": [
        {"streams": 16, "windows' blocks": 1234, "in the KV cache after, ms, median": MS,
         "the latest, ms": MS, "first text, ms, median": float("nan"), "on time": False},
    ],
    "wer": [
        {"model": "Whisper base's decoder", "clips": 2500, "WER, %": 123.4, "s per clip": 12.34}
    ],
}  # fmt: skip
SINGLE: dict[str, Rows] = {
    "latency": [{"p50 of 20 s over 2 s of speech, from the endpoint": 1.234}],
    "soak": [{"late / early, CPU seconds per second": 0.97, "late / early, resident, MB": 1.01}],
    "streaming_error": [
        {"clips": 2500, "audio tokens": 123_456, "least cosine": SHARE, "mean cosine": 0.999,
         "WER replay, %": 12.3, "WER ask, %": 12.3, "no speech found": 2500},
    ],
    "spoken": [{"peak, GB": 3.21}],
    "streams": [{"streams with every window on time": 16}],
    "training": [{"as it is, s": MS, "compiled, s": MS, "ratio": 0.67}],
}  # fmt: skip


@pytest.fixture(autouse=True)
def _eighty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def shown(title: str, rows: Rows, capsys: pytest.CaptureFixture[str]) -> list[str]:
    capsys.readouterr()
    show(title, rows)
    return capsys.readouterr().out.splitlines()


def tables(lines: list[str]) -> list[list[list[str]]]:
    """The lines of each table, as cells."""
    found: list[list[list[str]]] = []
    for line in lines:
        if line.startswith("┏"):
            found.append([])
        elif line[:1] in "┃│":
            found[-1].append([part.strip() for part in re.split("[┃│]", line)[1:-1]])
    return found


def check_whole(lines: list[str], rows: Rows) -> None:
    """Every row has a line of its own in every table, with its first cell; no cell is missing."""
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines)
    first, *names = rows[0]
    bodies = [[line for line in table[-len(rows) :]] for table in tables(lines)]
    for i, row in enumerate(rows):
        cells = [body[i] for body in bodies]
        assert {line[0] for line in cells} == {cell(row[first])}
        assert [text for line in cells for text in line[1:]] == [cell(row[n]) for n in names]
    headings = [
        " ".join(part for part in parts if part)
        for table in tables(lines)
        for parts in zip(*table[: -len(rows)], strict=True)
    ]
    wanted = [" ".join(name.split()) for name in (first, *names)]
    assert [h for i, h in enumerate(headings) if i == 0 or h != wanted[0]] == wanted


@pytest.mark.parametrize("script", WIDEST)
def test_the_widest_rows_of_every_script_are_whole(
    script: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = WIDEST[script] * 3
    check_whole(shown(f"Figures of {script}", rows, capsys), rows)


@pytest.mark.parametrize("script", SINGLE)
def test_a_single_row_stands_in_lines(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = SINGLE[script]
    lines = shown("", SINGLE[script], capsys)
    check_whole(lines, [{"figure": name, "value": value} for name, value in row.items()])
    assert len(tables(lines)) == 1


def test_what_fits_is_one_table_and_one_column_more_is_another(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for last, parts in ((9, 1), (10, 2)):  # 5 columns of 12: 5 * 15 + 1 = 76; 4 beside
        row = dict.fromkeys("abcd", "x" * 12) | {"e": "x" * (12 + last - 5)}
        assert len(tables(shown("", [row, row], capsys))) == parts


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    names=st.lists(
        st.text("abc ,%", min_size=1, max_size=40).filter(lambda s: s == " ".join(s.split()) != ""),
        min_size=2, max_size=14, unique=True,
    ),
    values=st.lists(st.one_of(st.integers(), st.floats()), min_size=14, max_size=14),
)  # fmt: skip
def test_whatever_the_figures_they_are_whole(
    names: list[str], values: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    row = dict(zip(names, values, strict=False))
    check = [row, row]
    lines = shown("", check, capsys)
    text = [line for table in tables(lines) for line in table]
    assert max(map(len, lines)) <= 80
    for value in row.values():
        assert any(cell(value) in line for line in text)


def test_rows_of_one_column_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert tables(shown("", [{"a": 1}, {"a": 2}], capsys)) == [[["a"], ["1"], ["2"]]]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.00012345, "0.000123"), (999.4, "999"), (1000.4, "1000"), (12345.6, "12346"), (3750, "3750"),
     (float("nan"), "nan"), (False, "False")],
)  # fmt: skip
def test_figures_have_three_digits_or_all_before_the_point(value: object, text: str) -> None:
    assert cell(value) == text


def test_a_column_may_be_left_out() -> None:
    assert without("b", [{"a": 1, "b": 2}]) == [{"a": 1}]
