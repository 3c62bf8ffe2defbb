"""Writes docs/configuration.md from the models of the configuration and config.yaml's comments.

python -m tests.docs.configuration
"""

import ast
import inspect
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from assistant.config import ModelConfig, Section, VoiceConfig
from assistant.files.presets import load_preset, read_yaml, shipped_config
from streaming.config import (
    EndpointingConfig,
    McpServerConfig,
    ServerConfig,
    ToolsConfig,
    TurnsConfig,
    WakeWordConfig,
)

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
SHOWN_PRESETS = ("small", "nano")
LONGEST_VALUE = 90
"""Characters of a value; a longer one is left to config.yaml."""

HEAD = """\
# Configuration

<!-- `python -m tests.docs.configuration` writes this page from config.yaml and its models. -->

`config.yaml` holds every setting and comes with the program. Do not edit it: write a file of your
own that says only what you change, and give it to any command with `--config FILE`. All other keys
keep their shipped values, in sections and in presets alike; the tables below have them.

The key `preset` chooses the model, and `--preset NAME` overrides it. An unknown key, a wrong type
or a value out of range is an error that names the key, before any model is loaded. A client may
change the settings of the conversation for its own session: see
[the protocol](protocol.md#settings).

**Another model, another port:**

```yaml
preset: nano
server: { port: 9000 }
```

**Wait longer before a turn ends,** for speakers who pause. The assistant waits for 0.32 s of
silence; with 25 frames it waits for half a second. `pause_frames` may stay: the reply is then still
started speculatively after 0.16 s, and discarded if speech goes on.

```yaml
endpointing: { min_silence_frames: 25 }
```

**Push to talk:** turns end only when the client says so.

```yaml
endpointing: { detector: manual }
```
"""

PRESETS = """\
## Presets

A preset is a model: encoders, language model, prompt, and how answers are chosen.
"""

SERVERS = """\
Each server under `tools.mcp` has a name that you choose ([an example](tools.md#your-own-tools)):
"""

OWN_PRESETS = """\
### A preset of your own

Give it a name under `presets`, and say which preset it is `like`. It has that preset's values for
every key that it leaves out, inside sections, too; a list is replaced as a whole. A preset may be
like another one of your own. To change a shipped preset for yourself, use its name, without `like`.

```yaml
preset: brief
presets:
  brief: { like: small, generation: { max_new_tokens: 40 } }
```

A preset without `like` under a new name stands alone. The parts that it must name are
`speech_encoder`, `audio_encoder`, `llm` and `checkpoint`; other keys then have the values published
with SALMONN, not those of `small`.

### Another LLM

`small` reads words, so any instruct LLM can take the place of its own, and nothing is trained:

```yaml
preset: mine
presets:
  mine: { like: small, llm: { weights: ["hub:OWNER/NAME"] } }
```

`llm.weights` lists sources that are tried in order. `hub:OWNER/NAME` is downloaded from Hugging
Face when it is first needed: safetensors and the tokenizer, but no GGUF files. A path is a folder
in Hugging Face's layout, or one `.gguf` file. The LLM's own chat template is used
(`prompt.template: auto`), with the system message and the examples of `small`; you may want others
for a larger LLM.

On a CPU, LLMs of the architectures Llama and Qwen2 are packed once, for ONNX Runtime. A folder or a
hub's model is rounded to 8 bits, so it needs about as many bytes as it has parameters; a Qwen2 GGUF
file keeps its 4 bits, and a Llama GGUF file is rounded to 8. Other architectures run in PyTorch in
float32, with four bytes per parameter. On a GPU (`device: auto`), `llm.dtype` and
`llm.quantisation` hold.
"""

Comments = dict[tuple[str, ...], str]
"""Path of a key -> what config.yaml says about it."""


def comments(text: str) -> Comments:
    """The comment of every key: what stands above it, or behind it on its line."""
    found: Comments = {}
    path: list[tuple[int, str]] = []
    above: list[str] = []
    for line in text.splitlines():
        if alone := re.fullmatch(r" *# ?(.*)", line):
            above.append(alone[1])
            continue
        if key := re.match(r"( *)(\w[\w-]*):(?: |$)(.*)", line):
            depth = len(key[1])
            path = [part for part in path if part[0] < depth] + [(depth, key[2])]
            behind = re.search(r"(?:^| )# (.*)", key[3])
            said = " ".join([*above, *([behind[1]] if behind else [])])
            if said:
                found[tuple(name for _, name in path)] = said
        above = []
    return found


def docstrings(model: type[BaseModel]) -> dict[str, str]:
    """What stands below each field of a section, or of one that it extends."""
    found = {}
    for part in reversed(model.__mro__):
        if issubclass(part, Section):
            (node,) = ast.parse(inspect.getsource(part)).body
            assert isinstance(node, ast.ClassDef)
            for field, below in pairwise(node.body):
                match field, below:
                    case (
                        ast.AnnAssign(target=ast.Name(id=name)),
                        ast.Expr(value=ast.Constant(value=str(words))),
                    ):
                        found[name] = " ".join(words.split())
    return found


def inner(annotation: Any) -> type[BaseModel] | None:
    """The section that a field holds, if it holds one."""
    for part in (annotation, *get_args(annotation)):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part
    return None


def kind(annotation: Any) -> str:
    """A type, in words."""
    if get_origin(annotation) is Annotated:
        return kind(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) is list:
        (part,) = get_args(annotation)
        return f"list of {kind(part)}s"
    if get_origin(annotation) is dict:
        _, part = get_args(annotation)
        return f"{kind(part)}s by name"
    if parts := get_args(annotation):
        return " or ".join(kind(part) for part in parts)
    names = {str: "text", SecretStr: "text", int: "integer", float: "number", bool: "true or false"}
    return {**names, NoneType: "null"}.get(annotation, "section")


def limits(annotation: Any, metadata: list[Any]) -> str:
    """The range of a number, in words."""
    rules = list(metadata)
    for part in (annotation, *get_args(annotation)):
        if get_origin(part) is Annotated:
            for rule in get_args(part)[1:]:
                rules += rule.metadata if isinstance(rule, FieldInfo) else [rule]
    low = high = ""
    for rule in rules:
        match rule:
            case Ge():
                low = number(rule.ge)
            case Gt():
                low = f"over {number(rule.gt)}"
            case Le():
                high = f" to {number(rule.le)}"
            case Lt():
                high = f" to under {number(rule.lt)}"
    return low + high


def number(bound: Any) -> str:
    return "2^63" if bound == 2**63 else f"{bound:,}".removesuffix(".0")


def value(given: Any) -> str:
    """A value as config.yaml writes it."""
    if given == {}:
        return "`{}`"
    if given is None or isinstance(given, bool):
        return f"`{str(given).lower().replace('none', 'null')}`"
    if isinstance(given, list):
        given = ", ".join(map(str, given)) if given else "[]"
    written = f"{given}".replace("\n", "\\n").replace("|", "\\|")
    if len(written) > LONGEST_VALUE or isinstance(given, dict):
        return "see the file"
    return f"`{written}`" if written else "empty"


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def sentence(text: str) -> str:
    """Text with a capital and a full stop; a value that it begins with keeps its small letter."""
    first = text.partition(" ")[0]
    begin = text[:1] if first.endswith((":", ",")) else text[:1].upper()
    return begin + text[1:].rstrip(".") + "." if text else ""


def leaves(
    model: type[BaseModel], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], FieldInfo, str]]:
    """Every key of a section that holds a value, with the words below its field."""
    said = docstrings(model)
    for name, field in model.model_fields.items():
        section = inner(field.annotation)
        if section is None or get_origin(field.annotation) in (list, dict):
            yield (*path, name), field, said.get(name, "")
        else:
            yield from leaves(section, (*path, name))


def at(values: Any, path: tuple[str, ...]) -> Any:
    """The value at a path; None where a section on the way to it is null."""
    for part in path:
        values = None if values is None else values[part]
    return values


def kind_and_range(field: FieldInfo) -> str:
    parts = [kind(field.annotation), limits(field.annotation, field.metadata)]
    return ", ".join(filter(None, parts))


def section(name: str, model: type[BaseModel], said: Comments) -> Iterator[str]:
    """A section of its own, such as endpointing."""
    yield f"\n## {name}\n"
    yield f"{said[name,]}\n"
    yield from table(name, model, said)


def table(name: str, model: type[BaseModel], said: Comments) -> Iterator[str]:
    """The keys of a section."""
    yield "| key | kind | default | meaning |"
    yield "|---|---|---|---|"
    for path, field, below in leaves(model):
        words = cell(sentence(said.get((name, *path), below)))
        default = value(field.get_default(call_default_factory=True))
        yield f"| `{name}.{'.'.join(path)}` | {kind_and_range(field)} | {default} | {words} |"


def presets(values: dict[str, Any], said: Comments) -> Iterator[str]:
    """All presets, and then every key that one may have."""
    yield f"\n{PRESETS}"
    yield "| preset | what it is |"
    yield "|---|---|"
    for name in values:
        yield f"| `{name}` | {cell(sentence(said[('presets', name)]))} |"
    shown = {name: load_preset(shipped_config(), name)[1].model_dump() for name in SHOWN_PRESETS}
    yield f"\n{OWN_PRESETS}"
    yield "## Keys of a preset\n"
    yield "Keys of a preset, with their values in the two most used presets:\n"
    yield f"| key | kind | {' | '.join(f'`{name}`' for name in shown)} | meaning |"
    yield f"|---|---|{'---|' * len(shown)}---|"
    for path, field, below in leaves(ModelConfig):
        comment = next((text for key, text in said.items() if key[2:] == path), below)
        columns = " | ".join(value(at(preset, path)) for preset in shown.values())
        words = cell(sentence(comment))
        yield f"| `{'.'.join(path)}` | {kind_and_range(field)} | {columns} | {words} |"


def page() -> str:
    """The whole page."""
    file = shipped_config()
    said = comments(file.read_text(encoding="utf-8"))
    lines = [
        *section("endpointing", EndpointingConfig, said),
        *section("turns", TurnsConfig, said),
        *section("voice", VoiceConfig, said),
        *section("wake_word", WakeWordConfig, said),
        *section("tools", ToolsConfig, said),
        f"\n{SERVERS}",
        *table("tools.mcp.NAME", McpServerConfig, said),
        *section("server", ServerConfig, said),
        *presets(read_yaml(file)["presets"], said),
    ]
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
