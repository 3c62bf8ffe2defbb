"""What is wrong is told in one line, and at once."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from assistant.errors import ConfigError
from assistant.files.presets import shipped_config
from assistant.prompt.prompt import tasks as named_tasks
from cli import main as cli
from cli.options import tell
from cli.serve import TOKEN, environment_token, server_config
from streaming.config_file import load_config
from tests.cli.call import Call


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


def test_names_that_look_like_pictures_are_shown_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tell("toy:x: no such file :smile:", "red")
    assert capsys.readouterr().err == "toy:x: no such file :smile:\n"


def test_what_ray_needs_is_named(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.serve.find_spec", lambda name: None)
    code, _, err = call("serve", "--preset", "tiny", "--port", "0", "--ray")
    assert code == 1
    assert (
        err == "salmonn-live: --ray: not installed; `pip install 'salmonn-live[scale]'` does that\n"
    )
