"""The judgement whether a speaker has finished: what it weighs, and its file."""

import math
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from assistant.captions.decoder import Ending
from assistant.config import ModelConfig, PartConfig
from assistant.conversation import Conversation
from assistant.end_of_turn import EndOfTurn, load_end_of_turn, save_end_of_turn, signs
from assistant.errors import ComponentError
from assistant.model import Salmonn, load
from assistant.rates import SAMPLE_RATE

WIDTH = 5


def test_the_last_features_and_the_mark_are_weighed() -> None:
    features = torch.arange(60.0).view(12, WIDTH)
    found = signs(features, Ending(closed=0.5, open=0.0, bare=1.0))
    assert torch.equal(found[:WIDTH], features[4:].mean(0))
    assert found[WIDTH:].tolist() == pytest.approx([0, -math.log(9999), math.log(9999)], rel=1e-3)
    assert torch.equal(signs(features, None), found[:WIDTH])


def test_a_probability_is_that_of_a_logistic_model() -> None:
    judge = EndOfTurn(torch.tensor([1.0, -2.0, 0.5, 0.0, 1.0]), 0.25, reads=True)
    odds = 0.25 + 1 * 3 - 2 * 1 + 0.5 * 2 + 1 * -1
    found = judge.probability(torch.tensor([3.0, 1.0, 2.0, 9.0, -1.0]))
    assert found == pytest.approx(1 / (1 + math.exp(-odds)))
    assert judge.width == 2


@pytest.mark.parametrize("reads", [True, False])
def test_a_judgement_is_written_and_read(tmp_path: Path, reads: bool) -> None:
    weights = torch.randn(WIDTH + 3 * reads, generator=torch.Generator().manual_seed(1))
    judge = EndOfTurn(weights, -0.5, reads=reads)
    save_end_of_turn(judge, tmp_path / "e.safetensors")
    again = load_end_of_turn(tmp_path / "e.safetensors")
    assert (again.reads, again.width) == (reads, WIDTH)
    assert again.probability(weights) == judge.probability(weights)


@pytest.mark.parametrize(
    "state",
    [
        {"other": torch.zeros(2)},
        {"features": torch.zeros(2)},
        {"features": torch.zeros(2, 2), "bias": torch.tensor(0.0)},
        {"features": torch.zeros(2), "bias": torch.zeros(2)},
        {"features": torch.zeros(2), "bias": torch.tensor(0.0), "marks": torch.zeros(2)},
    ],
)
def test_other_weights_are_refused(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    safetensors.torch.save_file(state, tmp_path / "x.safetensors")
    with pytest.raises(ComponentError, match=r"x.safetensors: not the weights of an end of turn"):
        load_end_of_turn(tmp_path / "x.safetensors")


def with_judge(config: ModelConfig, source: str) -> ModelConfig:
    return config.model_copy(update={"end_of_turn": PartConfig(weights=[source])})


@pytest.mark.parametrize("reads", [True, False])
def test_a_judgement_for_another_preset_is_refused(
    tiny_config: ModelConfig, tmp_path: Path, reads: bool
) -> None:
    path = tmp_path / "e.safetensors"
    save_end_of_turn(EndOfTurn(torch.zeros(7 + 3 * reads), 0.0, reads=reads), path)
    with pytest.raises(ComponentError, match="end_of_turn: .* made for another preset"):
        load(with_judge(tiny_config, str(path)))


def test_a_source_that_is_none_is_named(tiny_config: ModelConfig) -> None:
    with pytest.raises(ComponentError, match="end of turn: unknown source 'hub:a/b'"):
        load(with_judge(tiny_config, "hub:a/b"))


def test_a_pause_is_judged_by_what_was_heard(tiny_config: ModelConfig) -> None:
    model = load(with_judge(tiny_config, "toy:9"))
    assert model.end_of_turn is not None
    heard = np.random.default_rng(1).normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
    chances = []
    for samples in (heard, heard[: SAMPLE_RATE // 2]):
        talk = Conversation(model, "")
        talk.hear(samples)
        talk.open(0, spoken_from=0)
        talk.pause()
        chances.append(talk.finished())
        talk.resume()
        talk.pause()
        assert talk.finished() == chances[-1]
    assert all(chance is not None and 0 < chance < 1 for chance in chances)
    assert chances[0] != chances[1]


def test_nothing_judges_silence_or_without_weights(tiny: Salmonn, tiny_config: ModelConfig) -> None:
    for model in (tiny, load(with_judge(tiny_config, "toy:9"))):
        talk = Conversation(model, "")
        talk.hear(np.zeros(SAMPLE_RATE, np.float32))
        talk.open(0, spoken_from=0)
        talk.pause()
        assert talk.finished() is None
