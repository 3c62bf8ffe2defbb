"""The command line, on the tiny preset: every command, and every bad input a user may bring."""

import asyncio
import errno
import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from rich.console import Console

from assistant.errors import ConfigError
from assistant.files.presets import shipped_config
from assistant.llm.adapters import lora_parameters
from assistant.model import Salmonn
from assistant.parts.build import build_llm
from assistant.parts.checkpoint import read_card
from assistant.prompt.prompt import tasks as named_tasks
from cli import main as cli
from cli.options import tell
from cli.serve import DRAIN_S, TOKEN, _endings, _run, environment_token, server_config
from streaming.config import ServerConfig
from streaming.config_file import load_config
from streaming.server.app import App
from streaming.server.listen import Listening, listen
from tests.streaming.server.test_app import fake

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
        (
            ["--preset", "nano", "--lora-scale", "-1"],
            "--lora-scale.scale: Input should be greater than or equal to 0",
        ),
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


# --- what is wrong is told at once

WITHOUT_TORCH = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "whisper"):
            raise AssertionError(f"{name} is imported")

sys.meta_path.insert(0, Blocked())
from cli import main as cli

cli.main()
"""


def without_torch(*words: object, **environment: str) -> str:
    """Stderr of a command that ends with an error before it imports torch."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *map(str, words)],
        capture_output=True, text=True, env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["serve"],
        ["talk"],
        ["listen"],
        ["send", "a.wav"],
        ["ask", "a.wav"],
        ["replay", "a.wav"],
        ["replay", "a.jsonl"],
        ["record", "a.wav", "b.jsonl"],
    ],
    ids=" ".join,
)
def test_a_wrong_key_is_told_before_torch_is_imported(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "c.yaml").write_text("turns: { ring_s: 1.0e+12 }\n")
    (tmp_path / "a.jsonl").write_text('{"tape": 1, "preset": "tiny"}\n')
    words = [tmp_path / word if word.startswith("a.") else word for word in command]
    told = without_torch(*words, "--config", tmp_path / "c.yaml")
    assert told.startswith("salmonn-live: turns.ring_s: Input should be less than or equal to 600")


def test_what_keeps_the_server_from_listening_is_told_before_torch_is_imported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        told = without_torch("serve", "--preset", "tiny", "--port", port)
    assert told == f"salmonn-live: server.port: {port} at 127.0.0.1: Address already in use\n"
    told = without_torch("serve", "--preset", "tiny", SALMONN_LIVE_TOKEN="s3cr3t\udcff")
    assert told == (
        "salmonn-live: SALMONN_LIVE_TOKEN: may hold only visible ASCII characters, no spaces\n"
    )


@pytest.mark.parametrize(
    "text", ["", " \n", "s3cr3t word", "s3cr3t\x01", "s3cr3té", "s3cr3t\udcff"]
)
def test_a_token_of_the_environment_that_cannot_be_sent_is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv(TOKEN, text)
    with pytest.raises(ConfigError, match="^SALMONN_LIVE_TOKEN: ") as error:
        server_config(load_config(shipped_config(), "tiny"), None, None, False)
    assert "s3cr3t" not in f"{error.value}{error.value.__cause__}"


def test_a_token_of_the_environment_is_taken_without_white_space(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(TOKEN, " s3cr3t\n")
    assert environment_token() == "s3cr3t"
    token = server_config(load_config(shipped_config(), "tiny"), None, None, False).token
    assert token is not None
    assert token.get_secret_value() == "s3cr3t"
    monkeypatch.delenv(TOKEN)
    assert environment_token() is None


@pytest.mark.parametrize("command", [["serve"], ["record", "a.wav", "b.jsonl"]], ids=" ".join)
def test_every_command_with_a_model_scales_its_lora(command: list[str]) -> None:
    told = without_torch(*command, "--preset", "tiny", "--lora-scale", 2)
    assert "preset tiny has no checkpoint, so no LoRA" in told


# --- tapes


def test_a_tape_is_recorded_and_replayed(call: Call, recording: Path, tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    samples, rate = soundfile.read(recording)
    soundfile.write(recording, samples[: rate // 2], rate)
    words = "What\u2028was\u2029that\x85?"
    code, _, err = call("record", recording, tape, "--preset", "tiny", "--instruction", words)
    assert (code, err) == (0, "")
    assert call("replay", tape)[0] == 0
    head, rest = tape.read_text(encoding="utf-8").split("\n", 1)
    told = json.loads(head)
    assert told["instruction"] == words
    told["model"]["generation"]["max_new_tokens"] = 3
    told["weights"]["llm"] = "toy:4"
    event = json.dumps({"out": {"type": "other"}, "ms": 0.0})
    tape.write_text("\n".join([json.dumps(told), rest + event]), encoding="utf-8")
    code, _, err = call("replay", tape)
    assert code == 1
    assert err.splitlines()[-1] == (
        f"salmonn-live: {tape}: other events than those on the tape; the tape was made with other "
        "weights: llm ('toy:4', now 'toy:3'); the tape was made with other settings: "
        "generation.max_new_tokens (3, now 24)"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file or directory"),
        (b"\xff", "not a tape (byte 0 is not UTF-8)"),
        (b'{"tape": 1}\n' + b"[" * 50_000, "line 2: nested too deep"),
    ],
)
def test_what_is_no_tape_is_one_line(
    call: Call, tmp_path: Path, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "t.jsonl").write_bytes(content)
    code, _, err = call("replay", tmp_path / "t.jsonl")
    assert (code, err) == (1, f"salmonn-live: {tmp_path / 't.jsonl'}: {message}\n")


def test_a_tape_that_cannot_be_written_is_one_line(
    call: Call, recording: Path, tmp_path: Path
) -> None:
    tape = tmp_path / "no" / "tape.jsonl"
    code, _, err = call("record", recording, tape, "--preset", "tiny")
    assert (code, err) == (1, f"salmonn-live: {tape}: No such file or directory\n")


# --- the end of a server


class Gone(io.StringIO):
    """A terminal that is closed after its second line."""

    def write(self, text: str) -> int:
        if self.getvalue().count("\n") > 1:
            raise OSError(errno.EIO, "Input/output error")
        return super().write(text)


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_server_drains_when_it_is_told_to_go(
    monkeypatch: pytest.MonkeyPatch, which: signal.Signals
) -> None:
    drained: list[float] = []

    async def drain(app: App, seconds: float) -> None:
        drained.append(seconds)

    async def told_to_go(config: ServerConfig, listening: Listening) -> None:
        running = asyncio.create_task(_run(fake(), config, listening, Console(file=Gone())))
        await asyncio.sleep(0.05)
        os.kill(os.getpid(), which)
        await asyncio.wait_for(running, 10)

    monkeypatch.setattr(App, "drain", drain)
    config = ServerConfig(port=0)
    with listen(config) as listening:
        asyncio.run(told_to_go(config, listening))
    assert drained == [DRAIN_S]


def test_who_started_it_with_nohup_keeps_it() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signal.SIGHUP not in _endings()
    finally:
        signal.signal(signal.SIGHUP, before)
    assert signal.SIGHUP in _endings()


def test_names_that_look_like_pictures_are_shown_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tell("toy:x: no such file :smile:", "red")
    assert capsys.readouterr().err == "toy:x: no such file :smile:\n"


@pytest.mark.parametrize("command", ["data", "train", "average", "eval"])
def test_where_only_the_program_is_installed_the_lab_is_missed_in_one_line(
    call: Call, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(cli, "find_spec", lambda name: None if name == "lab" else object())
    code, out, err = call(command)
    assert (code, out) == (1, "")
    assert err.startswith(f"salmonn-live: {command}: needs the source checkout")
    assert err.count("\n") == 1
