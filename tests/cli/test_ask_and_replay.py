"""`ask` and `replay`: what they say of a recording, and of one that cannot be heard."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from assistant.llm.adapters import lora_parameters
from assistant.model import Salmonn
from assistant.parts.build import build_llm
from cli import main as cli
from tests.cli.call import Call


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


def test_replay_says_that_the_wake_word_was_not_said(call: Call, tmp_path: Path) -> None:
    path = write(tmp_path / "silence.wav", np.zeros(48_000))
    settings = tmp_path / "mine.yaml"
    settings.write_text("wake_word: { model: hey_jarvis }")
    code, out, _ = call("replay", path, "--preset", "tiny", "--config", settings)
    assert code == 0
    assert "asleep: say Hey Jarvis" in out
    assert "Nobody said the wake word" in out
    assert "No speech was found" not in out


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
