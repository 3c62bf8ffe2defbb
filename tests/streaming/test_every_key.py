"""Every key of config.yaml does something, and something that can be seen.

A row of `ROWS` gives a key another value and tells what to look at: not what was parsed, but what
a server, a session or a model does. A key without a row fails, so a new one must be given one.
"""

import subprocess
import sys
from functools import cache

import pytest
import torch

from assistant.llm.adapters import lora_parameters
from assistant.model import load
from assistant.parts.build import build_llm
from assistant.parts.checkpoint import TrainedWeights, write_folder
from assistant.parts.tiny import toy_llm
from streaming.config_file import SECTIONS
from tests.streaming.every_key.configured import (
    FILES,
    KEYS,
    PRESET,
    SCHEMAS,
    Row,
    configured,
    seen,
    shipped,
)
from tests.streaming.every_key.models import (
    adapted,
    asked,
    chosen,
    formats,
    heard,
    instructed,
    judged,
    left_out,
    offered,
    placed,
    prompted,
    ran,
    routed,
    spread,
    tagged,
)
from tests.streaming.every_key.servers import (
    a_comeback,
    a_long_message,
    a_second_client,
    a_second_connect,
    a_while,
    admitted,
    candidate_of,
    host_of,
    many_events,
    much_audio,
    origins,
    other_hosts,
    port_of,
    presented,
    room,
    tokens,
)
from tests.streaming.every_key.sessions import (
    called_by_name,
    interruption,
    long_silence,
    manners,
    two_utterances,
    typed,
    utterance,
)
from tests.streaming.every_key.tools import PROGRAM, asked_for, listed, too_long, tooled

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
CALL = {"name": "f", "arguments": {"a": 1}}
CALLED = {**CHAT, f"{PRESET}.prompt.examples": [{"user": "Who?", "call": CALL}]}
TOLD = {**CHAT, f"{PRESET}.prompt.examples_with_tools": [{"user": "Who?", "assistant": "I."}]}
CALLING = {**CHAT, f"{PRESET}.prompt.examples_with_tools": [{"user": "Who?", "call": CALL}]}
TOOLED = {**WORDS, **CHAT, f"{PRESET}.prompt.toolbox": True}
SHOWN = {**CHAT, f"{PRESET}.prompt.examples": [{"user": "Who?", "assistant": "I."}]}
COMMAND = {"tools.mcp.NAME.command": [sys.executable, "FILES/server.py", "two"]}
URL = {"tools.mcp.NAME.url": "http://127.0.0.1/mcp"}
JUDGED = {f"{PRESET}.end_of_turn.weights": ["toy:9"]}
OPEN_PORT = {"server.port": 0}
TLS = {**OPEN_PORT, "server.certificate": "FILES/chain.pem", "server.key": "FILES/key.pem"}

TEMPLATE = (
    "{% for m in messages %}<s>{{ m.role }}:{{ m.content }}{% for c in m.tool_calls or [] %}<call>"
    '{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}'
    "</call>{% endfor %}</s>\n{% endfor %}<s>assistant:"
)
"""Of an LLM that has one for chats, and for calls."""

ROWS: dict[str, Row] = {
    "preset": Row("nano", chosen),
    # endpointing
    "endpointing.detector": Row("manual", utterance),
    "endpointing.aggressiveness": Row(0, utterance, {"endpointing.detector": "webrtc"}),
    "endpointing.threshold": Row(0.99, utterance),
    "endpointing.min_speech_frames": Row(12, utterance),
    "endpointing.pause_frames": Row(4, utterance),
    "endpointing.min_silence_frames": Row(24, utterance),
    "endpointing.eagerness": Row("low", utterance, JUDGED),
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
    "turns.backchannels": Row(["wait a moment"], manners),
    "turns.stop_words": Row(["wait a moment"], manners),
    "turns.idle_timeout_s": Row(5.0, long_silence),
    # voice
    "voice.name": Row("none", utterance),
    "voice.speed": Row(1.5, utterance),
    # wake word
    "wake_word.model": Row("hey_jarvis", two_utterances),
    "wake_word.threshold": Row(0.999, called_by_name, {"wake_word.model": "hey_jarvis"}),
    "wake_word.sleep_after_s": Row(1.0, called_by_name, {"wake_word.model": "hey_jarvis"}),
    # tools
    "tools.own": Row(["get_time"], tooled, TOOLED),
    "tools.module": Row("FILES/mine.py", tooled, TOOLED),
    "tools.mcp.NAME.command": Row([sys.executable, "FILES/server.py", "three"], listed, COMMAND),
    "tools.mcp.NAME.env": Row({"TOOL": "another"}, listed, COMMAND),
    "tools.mcp.NAME.url": Row("http://127.0.0.1/other", asked_for, URL),
    "tools.mcp.NAME.token": Row("s3cr3t", asked_for, URL),
    "tools.mcp.NAME.only": Row(["two"], listed, COMMAND),
    "tools.wait_s": Row(0.01, too_long),
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
    "server.measure": Row(True, room, {"voice.name": "none"}),
    "server.session_minutes": Row(0.0001, a_while, OPEN_PORT),
    "server.message_mb": Row(0.01, a_long_message, OPEN_PORT),
    "server.backlog_s": Row(0.1, much_audio, OPEN_PORT),
    "server.unread_events": Row(4, many_events, OPEN_PORT),
    "server.resume_s": Row(0.0, a_comeback, OPEN_PORT),
    "server.connects_per_s": Row(1.0, a_second_connect, OPEN_PORT),
    "server.ice.addresses": Row(["127.0.0.2"], candidate_of, OPEN_PORT),
    "server.ice.announced": Row("192.0.2.7", candidate_of, OPEN_PORT),
    "server.ice.ports": Row([50_123, 50_123], candidate_of, OPEN_PORT),
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
    f"{PRESET}.encoding.look_ahead_windows": Row(1, heard, {f"{PRESET}.audio_encoder": None}),
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
    f"{PRESET}.tool_router.weights": Row(["toy:8"], routed),
    f"{PRESET}.end_of_turn.weights": Row(["toy:8"], judged, JUDGED),
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
    f"{PRESET}.prompt.calls": Row("bare", offered, CALLING),
    f"{PRESET}.prompt.toolbox": Row(True, tooled, {**WORDS, **CHAT}),
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


@cache
def _seen_without(key: str) -> object:
    """What a row's probe sees before its key is changed; the same whenever it looks."""
    row = ROWS[key]
    before = seen(row.probe, row.base)
    assert seen(row.probe, row.base) == before, f"{key}: what is looked at differs by chance"
    return before


@pytest.fixture(scope="module", autouse=True)
def _files(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("keys")
    FILES[:] = [folder]
    model = configured({}).model
    aligner = load(model).ear.aligner.state_dict()
    adapters = lora_parameters(build_llm(model, train=True).model)
    torch.manual_seed(5)
    lora = {name: 0.3 * torch.randn(p.shape) for name, p in adapters.items()}
    moved = {name: tensor + 0.1 for name, tensor in aligner.items()}
    write_folder(folder / "trained", TrainedWeights(moved, lora), {"preset": "tiny"})
    llm, tokenizer = toy_llm(3)
    llm.save_pretrained(folder / "llm")
    tokenizer.save_pretrained(folder / "llm")
    tokenizer.chat_template = TEMPLATE
    llm.save_pretrained(folder / "chat")
    tokenizer.save_pretrained(folder / "chat")
    (folder / "mine.py").write_text("def f(a: str) -> str:\n    return a\nTOOLS = [f]\n")
    (folder / "server.py").write_text(PROGRAM)
    for command in (
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=a -out chain.pem -keyout key.pem",
        "req -x509 -key key.pem -days 2 -subj /CN=b -out renewed.pem",
        "genrsa -out other.pem 2048",
    ):
        subprocess.run(["openssl", *command.split()], check=True, capture_output=True, cwd=folder)


@pytest.fixture(autouse=True)
def _bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine multiplies bf16, slowly if need be, and has no token of its own."""
    for module in ("assistant.model", "assistant.llm.loading"):
        monkeypatch.setattr(f"{module}.fast_half", lambda: True)
    monkeypatch.delenv("SALMONN_LIVE_TOKEN", raising=False)


def test_every_key_has_a_row() -> None:
    assert sorted(ROWS) == sorted(KEYS)


def test_every_key_of_the_file_is_known() -> None:
    assert shipped().keys() == SECTIONS
    for path, schema in SCHEMAS.items():
        if path != PRESET:
            assert shipped()[path].keys() == schema.model_fields.keys()


@pytest.mark.parametrize("key", KEYS)
def test_every_key_does_something(key: str) -> None:
    row = ROWS[key]
    assert seen(row.probe, {**row.base, key: row.value, **row.also}) != _seen_without(key)
