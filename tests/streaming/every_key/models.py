"""What models do."""

from unittest.mock import patch

import torch
import transformers

from assistant.ear.hearing import Hearing
from assistant.model import load
from assistant.parts.build import build_llm
from assistant.prompt.prompt import instruction
from assistant.tools.tool import Tool
from cli.options import configure
from streaming.config import Config
from streaming.server.build import build_assistant
from tests.streaming.every_key.configured import FILES
from tests.streaming.every_key.sessions import cut, tiny

FUNCTION = Tool("f", "", {"type": "object", "properties": {}})


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
    """The ids that stand before the audio where a function is declared."""
    model = load(config.model)
    return model.prompt.prefix(model.llm, "Reply.", (FUNCTION,))


def routed(config: Config) -> object:
    """What tells that a tool is needed."""
    router = load(config.model).router
    return None if router is None else router.weight.tolist()


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


def judged(config: Config) -> object:
    """The probability that a speaker has finished."""
    judge = load(config.model).end_of_turn
    assert judge is not None
    return judge.probability(torch.ones(judge.width))


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
    path = FILES[0] / "c.yaml"
    path.write_text(f"preset: {config.preset}\n")
    protocol = build_assistant(tiny(), configure(path, None), "Reply.")
    return protocol.new_protocol("sess", str, 0).begin().events[0]["session"]["model"]
