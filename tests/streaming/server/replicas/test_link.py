import pickle
from functools import partial

import pytest

from assistant.config import ModelConfig
from assistant.model import Salmonn
from streaming.build import make_narrator, make_reader, make_session, session_spec
from streaming.config import Config, EndpointingConfig, TurnsConfig
from streaming.server.replicas.link import HEAD, MODEL, packed, unpacked
from streaming.wyoming.build import build_offer


def test_what_makes_sessions_is_sent_without_the_model(
    tiny: Salmonn, tiny_config: ModelConfig
) -> None:
    config = Config("tiny", tiny_config, EndpointingConfig(), TurnsConfig())
    spec, offer = session_spec(tiny, config, "Answer."), build_offer(tiny, config, "Answer.")
    assert offer.new_reader is not None
    assert offer.new_narrator is not None
    for make in (
        partial(make_session, tiny, spec),
        partial(make_reader, tiny, spec),
        partial(make_narrator, config.voice, 1.5),
        partial(offer.new_reader, 0.5),
        offer.new_answerer,
        offer.new_narrator,
    ):
        data = packed("add", "name", make)
        assert len(data) < 10_000
        what, name, again = unpacked(data[HEAD.size :], tiny)
        assert (what, name) == ("add", "name")
        assert type(again()) is type(make())


def test_a_model_that_is_not_there_is_missed(tiny: Salmonn) -> None:
    with pytest.raises(pickle.UnpicklingError, match=f"there is no {MODEL} here"):
        unpacked(packed("add", tiny)[HEAD.size :])
