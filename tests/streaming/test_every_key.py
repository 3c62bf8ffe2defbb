"""Every key of config.yaml does something, and something that can be seen.

A row of `ROWS` gives a key another value and tells what to look at: not what was parsed, but what
a server, a session or a model does. A key without a row fails, so a new one must be given one.
"""

import asyncio
import copy
import itertools
import json
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, get_args, get_origin
from unittest.mock import patch

import pytest
import torch
import transformers
from websockets.exceptions import ConnectionClosed, InvalidStatus

from assistant.config import ModelConfig, Section
from assistant.ear.hearing import Hearing
from assistant.errors import AssistantError
from assistant.files.presets import read_config, shipped_config, validate
from assistant.llm.adapters import lora_parameters
from assistant.model import Salmonn, load
from assistant.parts.build import build_llm
from assistant.parts.checkpoint import TrainedWeights, write_folder
from assistant.parts.tiny import toy_llm
from assistant.prompt.prompt import instruction
from assistant.sound import recording
from assistant.sound.recording import Samples
from assistant.tools.tool import Tool
from cli.options import configure
from cli.serve import server_config
from streaming.audio.frames import Frame
from streaming.config import Config, EndpointingConfig, ServerConfig, TurnsConfig
from streaming.config_file import SECTIONS
from streaming.controls import Ask, Control
from streaming.dialogue.work import NEED_DATA
from streaming.server.app import App, running
from streaming.server.build import build_assistant
from streaming.server.listen import listen
from tests.streaming.server.test_app import client, fake, take

PRESET = "presets.tiny"
SCHEMAS: dict[str, type[Section]] = {
    "endpointing": EndpointingConfig,
    "turns": TurnsConfig,
    "server": ServerConfig,
    PRESET: ModelConfig,
}


def keys_of(schema: type[Section], path: str) -> Iterator[str]:
    """Every key of a section, those of the sections inside it with dots between; 0 is the first of
    a list of them."""
    for name, info in schema.model_fields.items():
        kinds = [info.annotation, *get_args(info.annotation)]
        inner = [k for k in kinds if isinstance(k, type) and issubclass(k, Section)]
        if inner:
            first = ".0" if get_origin(info.annotation) is list else ""
            yield from keys_of(inner[0], f"{path}.{name}{first}")
        else:
            yield f"{path}.{name}"


KEYS = ["preset", *(key for path, schema in SCHEMAS.items() for key in keys_of(schema, path))]

Changes = dict[str, Any]
Probe = Callable[[Config], object]


@dataclass(frozen=True)
class Row:
    """How to see that a key does something."""

    value: Any
    probe: Probe
    base: Changes = field(default_factory=dict)
    """Other keys, for which this one matters; set on both sides."""

    also: Changes = field(default_factory=dict)
    """Other keys that must change with it."""


def configured(changes: Changes) -> Config:
    """The shipped configuration with the tiny preset and some keys changed."""
    values = {**copy.deepcopy(_shipped()), "preset": "tiny"}
    section: Any
    for key, value in changes.items():
        *parents, last = key.split(".")
        section = values
        for parent in parents:
            listed = isinstance(section, list)
            section = section[int(parent)] if listed else section.setdefault(parent, {})
        section[last] = _named(copy.deepcopy(value))
    sections = {name: values[name] for name in ("endpointing", "turns", "server")}
    return Config(
        values["preset"],
        validate(ModelConfig, values["presets"]["tiny"], PRESET),
        validate(EndpointingConfig, sections["endpointing"], "endpointing"),
        validate(TurnsConfig, sections["turns"], "turns"),
        validate(ServerConfig, sections["server"], "server"),
    )


def _named(value: Any) -> Any:
    """A value of a row, with the folder of files in its place."""
    if isinstance(value, list):
        return [_named(part) for part in value]
    return value.replace("FILES", str(FILES)) if isinstance(value, str) else value


@cache
def _shipped() -> Changes:
    return read_config(shipped_config())


def seen(probe: Probe, changes: Changes) -> object:
    """What a probe sees; an error is something, too."""
    try:
        return probe(configured(changes))
    except AssistantError as error:
        return str(error)


@cache
def _seen_without(key: str) -> object:
    """What a row's probe sees before its key is changed; the same whenever it looks."""
    row = ROWS[key]
    before = seen(row.probe, row.base)
    assert seen(row.probe, row.base) == before, f"{key}: what is looked at differs by chance"
    return before


# --- sessions, as `serve` makes them

SPOKEN = recording.load(Path(__file__).parents[2] / "demo" / "kitchen.flac")
SILENCE_S = 0.5


def cut(begin_s: float, end_s: float) -> Samples:
    """Part of the demo, in which three people speak, from 1.1, 5.0 and 9.0 s on."""
    return SPOKEN[round(16_000 * begin_s) : round(16_000 * end_s)]


@cache
def tiny() -> Salmonn:
    return load(configured({}).model)


Script = tuple[bytes | Control, ...]


def session(config: Config, script: Script, steps: int = 1000) -> object:
    """What a session does with audio and controls: `session.created`, work and events.

    Args:
        config: what `serve` was given.
        script: what comes.
        steps: done after each 20 ms, where there are so many; few: on a slow machine.
    """
    assistant = build_assistant(tiny(), config, "Reply.")
    counts = itertools.count()
    protocol = assistant.new_protocol("sess", lambda kind: f"{kind}_{next(counts)}", 0)
    begin, talk = protocol.begin(), assistant.new_session()
    told: list[object] = [*begin.events]
    for control in begin.inputs:
        assert not isinstance(control, Frame)
        talk.control(control)

    def step(most: int) -> bool:
        for _ in range(most):
            events = talk.step()
            if events is NEED_DATA:
                return False
            assert isinstance(events, list)
            told.append((talk.taken, talk.work, events, [*map(protocol.translate, events)]))
        return True

    for piece in script:
        if not isinstance(piece, bytes):
            talk.control(piece)
            step(steps)
            continue
        for at in range(0, len(piece), 640):
            talk.receive(piece[at : at + 640])
            step(steps)
    while step(1000):
        pass
    return told


def spoken(*pieces: Samples | Control) -> Script:
    return tuple(recording.to_pcm16(p) if not isinstance(p, Control) else p for p in pieces)


def silence(seconds: float) -> Samples:
    return SPOKEN[:1].repeat(round(16_000 * seconds)) * 0


def utterance(config: Config) -> object:
    """A second of a kitchen, then someone speaks, then nobody."""
    return session(config, spoken(cut(0.0, 2.6), silence(0.7)))


def two_utterances(config: Config) -> object:
    """Two, with 0.6 s between them."""
    return session(config, spoken(cut(1.0, 2.2), silence(0.6), cut(5.0, 6.0), silence(0.6)))


def interruption(config: Config) -> object:
    """Someone speaks while a slow machine replies."""
    return session(config, spoken(cut(1.0, 2.0), silence(0.5), cut(5.0, 6.2)), steps=1)


def long_silence(config: Config) -> object:
    """Someone speaks, and then nobody for six seconds."""
    return session(config, spoken(cut(1.0, 2.0), silence(6.5)))


def typed(config: Config) -> object:
    """A question about a second of sound."""
    return session(config, spoken(cut(0.0, 1.0), Ask("What was that?")))


# --- models


def heard(config: Config) -> list[list[float]]:
    """Audio tokens of five seconds, as they are heard live."""
    hearing = Hearing(load(config.model).ear)
    windows = hearing.push(torch.from_numpy(cut(0.8, 5.8))) + hearing.peek()
    return [row for w in windows for row in w.tokens.double().round(decimals=3).tolist()]


def asked(config: Config) -> str:
    """An answer about a second of sound."""
    return "".join(load(config.model).ask(cut(0.8, 1.8), "Reply."))


def prompted(config: Config) -> object:
    """The ids around the audio."""
    model = load(config.model)
    return model.prompt.ids(model.llm, "Reply.")


def offered(config: Config) -> object:
    """The ids around the audio."""
    model = load(config.model)
    return model.prompt.prefix(model.llm, "Reply.", (TOOL,))


def instructed(config: Config) -> object:
    """What a client is told that the session does with what it hears."""
    words = instruction(None, None, None, config.model.prompt.default_task)
    protocol = build_assistant(tiny(), config, words).new_protocol("sess", str, 0)
    return protocol.begin().events[0]["session"]["instructions"]


def ran(config: Config) -> object:
    """What runs the LLM's layers, and the number format of what it keeps."""
    llm = load(config.model).llm
    cache = llm.cache()
    cache.extend(llm.embed([5]))
    held = getattr(cache._state, "held", None)
    return type(llm.engine).__name__, None if held is None else held.dtype


def spread(config: Config) -> object:
    """Where transformers is told to put the LLM's layers."""
    loader = transformers.AutoModelForCausalLM
    with patch.object(loader, "from_pretrained", wraps=loader.from_pretrained) as loading:
        load(config.model)
    return loading.call_args.kwargs.get("device_map")


def formats(config: Config) -> object:
    """The number formats of the ear's weights."""
    return {parameter.dtype for parameter in load(config.model).ear.parameters()}


def placed(config: Config) -> object:
    """Where the ear's weights are."""
    return {parameter.device for parameter in load(config.model).ear.parameters()}


def tagged(config: Config) -> object:
    """Probabilities of sounds."""
    model = load(config.model)
    assert model.tagger is not None
    return model.tagger.probabilities(torch.ones(3, model.ear.feature_width).cumsum(1))


def adapted(config: Config) -> object:
    """Logits after one token, and what of the checkpoint found no place."""
    model = load(config.model)
    cache = model.llm.cache()
    cache.extend(model.llm.embed([5]))
    return cache.logits().double().round(decimals=3).tolist(), model.leftover


def left_out(config: Config) -> object:
    """The probabilities with which training leaves things out of the aligner and the adapters."""
    modules = [*load(config.model).ear.aligner.modules()]
    modules += build_llm(config.model, train=True).model.modules()
    return {module.p for module in modules if isinstance(module, torch.nn.Dropout)}


def chosen(config: Config) -> object:
    """The model that a client is told it talks to, with the file's choice of a preset."""
    (FILES / "c.yaml").write_text(f"preset: {config.preset}\n")
    protocol = build_assistant(tiny(), configure(FILES / "c.yaml", None), "Reply.")
    return protocol.new_protocol("sess", str, 0).begin().events[0]["session"]["model"]


# --- servers


def host_of(config: Config) -> object:
    """Of the address it listens at."""
    with listen(config.server) as listening:
        return listening.sockets[0].getsockname()[0]


def port_of(config: Config) -> object:
    """It is said to be in use, where somebody else has it."""
    with listen(config.server) as listening:
        return listening.sockets[0].getsockname()[1]


def admitted(config: Config) -> object:
    """Whether `serve` listens at all, where others can reach it."""
    return server_config(config, None, None, False).host


def presented(config: Config) -> object:
    """The certificate that is shown to who connects."""
    with listen(config.server) as listening:
        assert listening.tls is not None
        at = listening.sockets[0].getsockname()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = listening.tls.wrap_bio(incoming, outgoing, server_side=True)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        theirs = context.wrap_bio(outgoing, incoming)
        for _ in range(4):
            for side in (theirs, server):
                with suppress(ssl.SSLWantReadError):
                    side.do_handshake()
        assert at
        return theirs.getpeercert(binary_form=True)


Visit = Callable[[App, str], Any]


def visited(visit: Visit, config: Config) -> object:
    """What a client sees of the server over a socket."""

    async def come() -> object:
        listening = listen(config.server)
        (sock,) = listening.sockets
        # no more is on its way to a client that does not read
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        port = sock.getsockname()[1]
        async with running(fake(), config.server, listening) as (app, _):
            return await visit(app, f"127.0.0.1:{port}")

    return asyncio.run(asyncio.wait_for(come(), 20))


def over_a_socket(visit: Visit) -> Probe:
    return partial(visited, visit)


async def came_in(host: str, query: str = "", **more: Any) -> object:
    """The first event, or the status that a connection is refused with."""
    try:
        async with client(host, query, **more) as connection:
            return (await take(connection))["type"]
    except InvalidStatus as error:
        return error.response.status_code
    except ConnectionClosed as error:
        return error.rcvd and error.rcvd.reason


@over_a_socket
async def tokens(app: App, host: str) -> object:
    headers = {"Authorization": "Bearer s3cr3t"}
    assert await came_in(host, additional_headers=headers) == "session.created"
    return await came_in(host)


@over_a_socket
async def origins(app: App, host: str) -> object:
    return await came_in(host, origin="https://friend.example")


@over_a_socket
async def other_hosts(app: App, host: str) -> object:
    port = host.rpartition(":")[2]
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
    writer.write(f"GET /healthz HTTP/1.1\r\nHost: nas.example:{port}\r\n\r\n".encode())
    status = await reader.readline()
    writer.close()
    return status


@over_a_socket
async def a_second_client(app: App, host: str) -> object:
    async with client(host):
        return await came_in(host)


@over_a_socket
async def a_second_connect(app: App, host: str) -> object:
    return await came_in(host), await came_in(host)


@over_a_socket
async def a_while(app: App, host: str) -> object:
    """Why it was closed, where it was."""
    async with client(host) as connection:
        await take(connection)
        with suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await connection.wait_closed()
        return connection.close_code


@over_a_socket
async def a_long_message(app: App, host: str) -> object:
    async with client(host) as connection:
        await take(connection)
        await connection.send("x" * 20_000)
        with suppress(ConnectionClosed):
            return (await take(connection))["type"]
        return connection.close_code


@over_a_socket
async def a_comeback(app: App, host: str) -> object:
    async with client(host) as connection:
        name = (await take(connection))["session"]["id"]
    await settled(lambda: len([s for s in app._seats.values() if s.connection is None]))
    return await came_in(host, f"?session_id={name}&after=1")


async def settled(look: Callable[[], int]) -> int:
    """A number, when it has stopped growing."""
    before, steady = -1, 0
    while steady < 5:
        await asyncio.sleep(0.02)
        steady = steady + 1 if look() == before else 0
        before = look()
    return before


@over_a_socket
async def much_audio(app: App, host: str) -> object:
    """How much of a second of audio is taken while the model looks at none of it."""
    async with client(host) as connection:
        await take(connection)
        (seat,) = app._seats.values()
        app._worker.give = lambda name, pieces: None  # type: ignore[method-assign]
        message = {"type": "input_audio_buffer.append", "audio": "AAAA" * 320}
        for _ in range(50):
            await connection.send(json.dumps(message))
        taken = await settled(lambda: seat.given)
        seat.end(1001, "that was all")
        return taken > 8000


@over_a_socket
async def many_events(app: App, host: str) -> object:
    """Whether all is taken from a client that reads nothing."""
    async with client(host, max_queue=1) as connection:
        content = [{"type": "output_text", "text": "x" * 8000}]
        item = {"type": "message", "role": "assistant", "content": content}
        for _ in range(90):
            await connection.send(json.dumps({"type": "conversation.item.create", "item": item}))
        (seat,) = app._seats.values()
        taken = await settled(lambda: seat.messages)
        seat.end(1001, "that was all")
        connection.transport.abort()
        return taken == 90


# --- the keys

RECOMPUTE = {
    f"{PRESET}.encoding.mode": "recompute",
    f"{PRESET}.encoding.left_context_s": 1.0,
    f"{PRESET}.encoding.pad_to_s": 4.0,
}
TRAINED = {f"{PRESET}.checkpoint": "FILES/trained"}
SAMPLED = {f"{PRESET}.generation.sample": True}
SEARCHED = {f"{PRESET}.generation.beams": 3}
WORDS = {f"{PRESET}.reads": "words", f"{PRESET}.llm.lora": None}
CHAT = {f"{PRESET}.prompt.template": "auto", f"{PRESET}.llm.weights": ["FILES/chat"]}
TOOL = Tool("f", "", {"type": "object", "properties": {}})
CALL = {"name": "f", "arguments": {"a": 1}}
CALLED = {**CHAT, f"{PRESET}.prompt.examples": [{"user": "Who?", "call": CALL}]}
TOLD = {**CHAT, f"{PRESET}.prompt.examples_with_tools": [{"user": "Who?", "assistant": "I."}]}
CALLING = {**CHAT, f"{PRESET}.prompt.examples_with_tools": [{"user": "Who?", "call": CALL}]}
SHOWN = {**CHAT, f"{PRESET}.prompt.examples": [{"user": "Who?", "assistant": "I."}]}
OPEN_PORT = {"server.port": 0}
TLS = {**OPEN_PORT, "server.certificate": "FILES/chain.pem", "server.key": "FILES/key.pem"}

TEMPLATE = "{% for m in messages %}<s>{{ m.role }}:{{ m.content }}</s>\n{% endfor %}<s>assistant:"
"""Of an LLM that has one for chats."""

FILES = Path()
"""Folder of what the keys name; its name stands for it in `ROWS`."""

ROWS: dict[str, Row] = {
    "preset": Row("nano", chosen),
    # endpointing
    "endpointing.detector": Row("manual", utterance),
    "endpointing.aggressiveness": Row(0, utterance, {"endpointing.detector": "webrtc"}),
    "endpointing.threshold": Row(0.99, utterance),
    "endpointing.min_speech_frames": Row(12, utterance),
    "endpointing.pause_frames": Row(4, utterance),
    "endpointing.min_silence_frames": Row(24, utterance),
    "endpointing.max_utterance_s": Row(1.0, utterance),
    # turns
    "turns.context_s": Row(0.0, utterance),
    "turns.rejoin_s": Row(0.0, two_utterances),
    "turns.ring_s": Row(0.5, typed),
    "turns.silence_db": Row(0.0, typed),
    "turns.captions": Row(True, utterance),
    "turns.sound_events": Row(True, utterance),
    "turns.auto_reply": Row(False, utterance),
    "turns.turns_kept": Row(1, two_utterances, {"turns.rejoin_s": 0.0}),
    "turns.speculate": Row(False, utterance),
    "turns.barge_in_frames": Row(1500, interruption),
    "turns.idle_timeout_s": Row(5.0, long_silence),
    # server
    "server.host": Row("127.0.0.2", host_of, OPEN_PORT),
    "server.port": Row(0, port_of),
    "server.open": Row(True, admitted, {"server.host": "0.0.0.0"}),
    "server.token": Row("s3cr3t", tokens, OPEN_PORT),
    "server.origins": Row(["https://friend.example"], origins, OPEN_PORT),
    "server.hosts": Row(["nas.example"], other_hosts, OPEN_PORT),
    "server.certificate": Row("FILES/renewed.pem", presented, TLS),
    "server.key": Row("FILES/other.pem", presented, TLS),
    "server.sessions": Row(1, a_second_client, OPEN_PORT),
    "server.session_minutes": Row(0.0001, a_while, OPEN_PORT),
    "server.message_mb": Row(0.01, a_long_message, OPEN_PORT),
    "server.backlog_s": Row(0.1, much_audio, OPEN_PORT),
    "server.unread_events": Row(4, many_events, OPEN_PORT),
    "server.resume_s": Row(0.0, a_comeback, OPEN_PORT),
    "server.connects_per_s": Row(1.0, a_second_connect, OPEN_PORT),
    # the ear
    f"{PRESET}.speech_encoder.weights": Row(["toy:11"], heard),
    f"{PRESET}.speech_encoder.hidden_layers": Row([1], heard),
    f"{PRESET}.audio_encoder.weights": Row(["toy:12"], heard),
    f"{PRESET}.encoding.mode": Row("recompute", heard),
    f"{PRESET}.encoding.dtype": Row("bfloat16", formats),
    f"{PRESET}.encoding.block_windows": Row(1, heard),
    f"{PRESET}.encoding.horizon_blocks": Row(3, heard),
    f"{PRESET}.encoding.overlap_blocks": Row(1, heard),
    f"{PRESET}.encoding.silence_blocks": Row(1, heard),
    f"{PRESET}.encoding.left_context_s": Row(0.5, heard, RECOMPUTE),
    f"{PRESET}.encoding.look_ahead_s": Row(0.0, heard, RECOMPUTE),
    f"{PRESET}.encoding.pad_to_s": Row(0.0, asked, RECOMPUTE),
    f"{PRESET}.aligner.window_features": Row(
        8, heard, also={f"{PRESET}.aligner.stride_features": 8}
    ),
    f"{PRESET}.aligner.stride_features": Row(8, heard),  # windows do not overlap, which it says
    f"{PRESET}.aligner.queries": Row(1, heard),
    f"{PRESET}.aligner.transcript": Row(True, asked),
    f"{PRESET}.aligner.token_length": Row(5.0, heard),
    f"{PRESET}.aligner.qformer.layers": Row(1, heard),
    f"{PRESET}.aligner.qformer.width": Row(16, heard),
    f"{PRESET}.aligner.qformer.heads": Row(2, heard),
    f"{PRESET}.aligner.qformer.mlp_width": Row(32, heard),
    f"{PRESET}.aligner.qformer.dropout": Row(0.3, left_out),
    f"{PRESET}.sound_tagger.weights": Row(["toy:8"], tagged),
    f"{PRESET}.reads": Row("words", asked, {f"{PRESET}.llm.lora": None}),
    f"{PRESET}.checkpoint": Row("FILES/trained", heard),
    f"{PRESET}.device": Row("cuda", placed),
    # the LLM
    f"{PRESET}.llm.weights": Row(["toy:4"], asked),
    f"{PRESET}.llm.dtype": Row("bfloat16", ran),
    f"{PRESET}.llm.engine": Row("transformers", ran),
    f"{PRESET}.llm.quantisation": Row("8bit", ran),  # its heads are too narrow, which it says
    f"{PRESET}.llm.placement": Row("auto", spread, {f"{PRESET}.llm.weights": ["FILES/llm"]}),
    f"{PRESET}.llm.lora.rank": Row(2, adapted, TRAINED),  # the checkpoint's is 4, which it says
    f"{PRESET}.llm.lora.alpha": Row(16.0, adapted, TRAINED),
    f"{PRESET}.llm.lora.dropout": Row(0.4, left_out),
    f"{PRESET}.llm.lora.targets": Row(["q_proj"], adapted, TRAINED),
    f"{PRESET}.llm.lora.scale": Row(0.0, adapted, TRAINED),
    f"{PRESET}.prompt.template": Row("{audio} {instruction}\n", prompted),
    f"{PRESET}.prompt.system": Row("Be brief.", prompted, CHAT),
    f"{PRESET}.prompt.examples.0.user": Row("What?", prompted, SHOWN),
    f"{PRESET}.prompt.examples.0.assistant": Row("You.", prompted, SHOWN),
    f"{PRESET}.prompt.examples.0.sounds": Row("rain", prompted, {**WORDS, **SHOWN}),
    f"{PRESET}.prompt.examples.0.call.name": Row("g", prompted, CALLED),
    f"{PRESET}.prompt.examples.0.call.arguments": Row({"a": 2}, prompted, CALLED),
    f"{PRESET}.prompt.system_with_tools": Row("Be brief.", offered, CHAT),
    f"{PRESET}.prompt.examples_with_tools.0.user": Row("What?", offered, TOLD),
    f"{PRESET}.prompt.examples_with_tools.0.assistant": Row("You.", offered, TOLD),
    f"{PRESET}.prompt.examples_with_tools.0.sounds": Row("rain", offered, {**WORDS, **TOLD}),
    f"{PRESET}.prompt.examples_with_tools.0.call.name": Row("g", offered, CALLING),
    f"{PRESET}.prompt.examples_with_tools.0.call.arguments": Row({"a": 2}, offered, CALLING),
    f"{PRESET}.prompt.default_task": Row("keywords", instructed),
    f"{PRESET}.prompt.bos": Row(False, prompted),
    f"{PRESET}.prompt.stop": Row(["</s>", "s"], asked),
    f"{PRESET}.generation.max_new_tokens": Row(3, asked),
    f"{PRESET}.generation.beams": Row(3, asked),
    f"{PRESET}.generation.sample": Row(True, asked),
    f"{PRESET}.generation.temperature": Row(0.1, asked, SAMPLED),
    f"{PRESET}.generation.top_p": Row(0.1, asked, SAMPLED),
    f"{PRESET}.generation.repetition_penalty": Row(5.0, asked),
    f"{PRESET}.generation.length_penalty": Row(-10.0, asked, SEARCHED),
    f"{PRESET}.generation.seed": Row(1, asked, SAMPLED),
}


@pytest.fixture(scope="module", autouse=True)
def _files(tmp_path_factory: pytest.TempPathFactory) -> None:
    global FILES
    FILES = tmp_path_factory.mktemp("keys")
    model = configured({}).model
    aligner = load(model).ear.aligner.state_dict()
    adapters = lora_parameters(build_llm(model, train=True).model)
    torch.manual_seed(5)
    lora = {name: 0.3 * torch.randn(p.shape) for name, p in adapters.items()}
    moved = {name: tensor + 0.1 for name, tensor in aligner.items()}
    write_folder(FILES / "trained", TrainedWeights(moved, lora), {"preset": "tiny"})
    llm, tokenizer = toy_llm(3)
    llm.save_pretrained(FILES / "llm")
    tokenizer.save_pretrained(FILES / "llm")
    tokenizer.chat_template = TEMPLATE
    llm.save_pretrained(FILES / "chat")
    tokenizer.save_pretrained(FILES / "chat")
    for command in (
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=a -out chain.pem -keyout key.pem",
        "req -x509 -key key.pem -days 2 -subj /CN=b -out renewed.pem",
        "genrsa -out other.pem 2048",
    ):
        subprocess.run(["openssl", *command.split()], check=True, capture_output=True, cwd=FILES)


@pytest.fixture(autouse=True)
def _bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine multiplies bf16, slowly if need be, and has no token of its own."""
    for module in ("assistant.model", "assistant.llm.loading"):
        monkeypatch.setattr(f"{module}.fast_half", lambda: True)
    monkeypatch.delenv("SALMONN_LIVE_TOKEN", raising=False)


def test_every_key_has_a_row() -> None:
    assert sorted(ROWS) == sorted(KEYS)


def test_every_key_of_the_file_is_known() -> None:
    assert _shipped().keys() == SECTIONS
    for path, schema in SCHEMAS.items():
        if path != PRESET:
            assert _shipped()[path].keys() == schema.model_fields.keys()


@pytest.mark.parametrize("key", KEYS)
def test_every_key_does_something(key: str) -> None:
    row = ROWS[key]
    assert seen(row.probe, {**row.base, key: row.value, **row.also}) != _seen_without(key)
