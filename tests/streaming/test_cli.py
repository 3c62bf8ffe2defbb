"""The command line, on the tiny preset: every command, and every bad input a user may bring."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from assistant.build import build_llm
from assistant.checkpoint import read_card
from assistant.llm import lora_parameters
from assistant.model import Salmonn
from assistant.prompt import tasks as named_tasks
from streaming import cli

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


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    return lambda *words: run(capsys, monkeypatch, *words)


DEMO = Path(__file__).parents[2] / "demo" / "kitchen.flac"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """The first utterance of the demo, 3.4 s."""
    path = tmp_path / "voice.wav"
    samples, rate = soundfile.read(DEMO)
    soundfile.write(path, samples[rate // 2 : 4 * rate], rate)
    return path


def test_replay_as_json_is_one_event_per_line_and_nothing_else(call: Call, recording: Path) -> None:
    code, out, err = call("replay", recording, "--preset", "tiny", "--json")
    assert (code, err) == (0, "")
    events = [json.loads(line) for line in out.splitlines()]
    kinds = [event["type"] for event in events]
    assert kinds[0] == "speech.started"
    assert kinds[-2:] == ["reply.ended", "reply.latency"]
    assert {"speech.ended", "audio.prefilled", "reply.delta"} <= set(kinds)
    started = next(event for event in events if event["type"] == "reply.started")
    assert 0 < started["prefilled_before_end"] <= started["windows"]
    assert {"endpoint_wait_ms", "encode_ms", "prefill_ms", "first_token_ms"} <= events[-1].keys()


def test_replay_for_a_person(call: Call, recording: Path) -> None:
    code, out, _ = call("replay", recording, "--preset", "tiny", "--instruction", "Hm?")
    assert code == 0
    assert "speech starts" in out
    assert "in the KV cache" in out
    assert "ms after the endpoint: encode" in out


def test_ask(call: Call, recording: Path) -> None:
    code, out, _ = call("ask", recording, "What is it?", "--preset", "tiny")
    assert code == 0
    assert out.strip()
    again = call("ask", recording, "What is it?", "--preset", "tiny", "--beams", "1")[1]
    assert again == out
    assert call("ask", recording, "--task", "keywords", "--preset", "tiny")[0] == 0


@pytest.mark.parametrize(("command", "policy"), [("tasks", "PASSIVE"), ("train", None)])
def test_threads_that_wait_sleep_but_for_training(
    call: Call, monkeypatch: pytest.MonkeyPatch, command: str, policy: str | None
) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "")  # so that it is as it was afterwards
    monkeypatch.delenv("OMP_WAIT_POLICY")
    call(command)
    assert os.environ.get("OMP_WAIT_POLICY") == policy


def test_who_chose_how_threads_wait_is_left_alone(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    call("tasks")
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


def test_convert(call: Call, tmp_path: Path, tiny: Salmonn) -> None:
    state = {f"aligner.{k}": v for k, v in tiny.ear.aligner.state_dict().items()}
    llm = build_llm(tiny.config, train=True)
    state |= {f"llm.{k}": v.detach() for k, v in lora_parameters(llm.model).items()}
    torch.save({"parameters": {**state, "blank": torch.zeros(3)}}, tmp_path / "state.pt")
    code, out, _ = call("convert", tmp_path / "state.pt", tmp_path / "ours", "--preset", "tiny")
    assert code == 0
    assert "left out: blank" in out
    card = read_card(tmp_path / "ours")
    assert (card.preset, card.components["llm"]) == ("tiny", "toy:3")


def test_average(call: Call, tmp_path: Path) -> None:
    for value, more in ((1.0, {}), (4.0, {"ctc.blank": torch.zeros(3)})):
        state = {"a": torch.tensor(value), **more}
        torch.save({"parameters": state}, tmp_path / f"{value:.0f}.pt")
    shares = (f"{tmp_path}/1.pt:2", f"{tmp_path}/4.pt")
    code, out, _ = call("average", *shares, "--to", tmp_path / "mean.pt")
    assert code == 0
    assert "left out, as not all have it: ctc.blank" in out
    mean = torch.load(tmp_path / "mean.pt", weights_only=True)["parameters"]
    assert float(mean["a"]) == 2.0
    code, _, err = call("average", f"{tmp_path}/1.pt:much", "--to", tmp_path / "mean.pt")
    assert code != 0
    assert "a share is a number" in err


def test_tasks_lists_them_all(call: Call) -> None:
    code, out, _ = call("tasks")
    assert code == 0
    listed = {words[0] for line in out.splitlines() if (words := line.split())}
    assert set(named_tasks()) <= listed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--preset", "huge"], "preset: unknown 'huge'; known: nano"),
        (["--task", "juggling"], "unknown task 'juggling'"),
        (["--task", "slot_filling"], "task 'slot_filling' needs a question"),
        (["--config", "/nowhere.yaml"], "/nowhere.yaml: No such file"),
        (["--lora-scale", "2", "--preset", "lora-less"], "preset lora-less has no LoRA"),
        (["--lora-scale", "-1"], "--lora-scale.scale: Input should be greater than or equal to 0"),
        (["--lora-scale", "2", "--preset", "tiny"], "preset tiny has no checkpoint, so no LoRA"),
    ],
)
def test_mistakes_are_one_line_on_stderr(
    call: Call, recording: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    if "lora-less" in words:
        text = (Path(cli.__file__).parents[1] / "config.yaml").read_text()
        _, tiny = text.split("  tiny:\n")
        lora = "lora: { rank: 4, alpha: 8.0, dropout: 0.0, targets: [q_proj, v_proj] }"
        assert lora in tiny
        (tmp_path / "c.yaml").write_text(
            "preset: lora-less\npresets:\n  lora-less:\n" + tiny.replace(lora, "lora: null")
        )
        words = [*words, "--config", str(tmp_path / "c.yaml")]
    code, out, err = call("ask", recording, *words)
    assert code == 1
    assert not out
    assert message in err.replace("\n", "")
    assert "Traceback" not in err


def write(path: Path, samples: np.ndarray, rate: int = 16_000, **options: object) -> Path:
    soundfile.write(path, samples, rate, **options)
    return path


def bad_inputs(folder: Path) -> dict[str, tuple[Path, str | None]]:
    """Name -> recording, and the error expected, or None where there is something to answer."""
    rng = np.random.default_rng(1)
    noise = rng.standard_normal(32_000)
    nan = noise.astype(np.float32)
    nan[5] = np.nan
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("this is not a recording\n" * 50)
    cut = write(folder / "cut.flac", 0.1 * noise)
    cut.write_bytes(cut.read_bytes()[:30_000])
    header = write(folder / "header.wav", 0.1 * noise)
    content = bytearray(header.read_bytes())
    content[24:28] = (1).to_bytes(4, "little")  # sample rate 1 Hz
    header.write_bytes(content)
    return {
        "empty file": (folder / "empty.wav", "not readable as audio"),
        "text named .wav": (folder / "text.wav", "not readable as audio"),
        "no samples": (write(folder / "none.wav", np.zeros(0)), "holds no audio"),
        "NaN": (write(folder / "nan.wav", nan, subtype="FLOAT"), "sample 5 is not a finite"),
        "wrong rate in the header": (header, "sample rate 1 Hz is outside"),
        "truncated flac": (cut, None),
        "1 ms": (write(folder / "ms.wav", 0.1 * noise[:16]), None),
        "one sample": (write(folder / "one.wav", noise[:1] * 0.1), None),
        "silence": (write(folder / "silence.wav", np.zeros(32_000)), None),
        "clipping noise": (write(folder / "clip.wav", np.clip(100 * noise, -1, 1)), None),
        "far beyond full scale": (
            write(folder / "loud.wav", 1e6 * noise, subtype="FLOAT"), None,
        ),
    }  # fmt: skip


def test_replay_explains_each_reply(call: Call, recording: Path) -> None:
    code, out, _ = call("replay", recording, "--preset", "tiny", "--explain")
    assert code == 0
    drawn = [line.split()[0] for line in out.splitlines() if "━" in line]
    assert drawn == ["speech"]
    assert "listen " in out


def test_replay_explains_nothing_between_lines_of_json(call: Call, recording: Path) -> None:
    code, _, err = call("replay", recording, "--preset", "tiny", "--explain", "--json")
    assert code == 1
    assert "--explain" in err


@pytest.mark.parametrize("command", ["ask", "replay"])
def test_bad_input_gets_a_clear_message_or_a_sensible_answer(
    call: Call, tmp_path: Path, command: str
) -> None:
    for name, (path, expected) in bad_inputs(tmp_path).items():
        code, out, err = call(command, path, "--preset", "tiny")
        told = err.replace("\n", "")
        if expected is None:
            # a decoder may also refuse a file that is cut off; then it says so
            assert code == 0 or (name == "truncated flac" and "not readable" in told), (name, err)
        else:
            assert code == 1, name
            assert expected in told, name
            assert not out, name
        assert "Traceback" not in err, name


def test_ten_minutes_are_more_than_the_toy_llm_holds(call: Call, tmp_path: Path) -> None:
    path = write(tmp_path / "long.flac", 0.1 * np.random.default_rng(2).standard_normal(9_600_000))
    code, _, err = call("ask", path, "--preset", "tiny")
    assert code == 1
    assert "the LLM's context holds 2048" in err.replace("\n", " ")


def test_replay_of_silence_says_that_nothing_was_found(call: Call, tmp_path: Path) -> None:
    path = write(tmp_path / "silence.wav", np.zeros(48_000))
    code, out, _ = call("replay", path, "--preset", "tiny")
    assert code == 0
    assert "No speech was found" in out


def test_weights_without_a_place_are_reported(
    call: Call, recording: Path, tmp_path: Path, tiny: Salmonn
) -> None:
    state = {f"aligner.{k}": v for k, v in tiny.ear.aligner.state_dict().items()}
    llm = build_llm(tiny.config, train=True)
    state |= {f"llm.{k}": v.detach() for k, v in lora_parameters(llm.model).items()}
    torch.save({"parameters": {**state, "blank": torch.zeros(3)}}, tmp_path / "state.pt")
    text = (Path(cli.__file__).parents[1] / "config.yaml").read_text().split("  tiny:\n")[1]
    changed = text.replace("checkpoint: null", f"checkpoint: {tmp_path / 'state.pt'}")
    (tmp_path / "c.yaml").write_text("presets:\n  mine:\n" + changed)
    code, out, err = call("ask", recording, "--config", tmp_path / "c.yaml", "--preset", "mine")
    assert code == 0
    assert out.strip()
    assert "1 keys have no place here: blank" in err


def test_an_empty_answer_is_said_to_be_one(
    call: Call, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Salmonn, "ask", lambda *_: iter([" "]))
    code, out, err = call("ask", recording, "--preset", "tiny")
    assert (code, out.strip()) == (0, "")
    assert "nothing to say about these 4 s" in err
    assert "salmonn-live replay" in err
