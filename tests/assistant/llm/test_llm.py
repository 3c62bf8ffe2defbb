import itertools
from collections.abc import Callable

import peft
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import LlamaForCausalLM
from transformers.generation import RepetitionPenaltyLogitsProcessor

from assistant.config import GenerationConfig, LoraConfig
from assistant.errors import ConfigError, ContextFullError
from assistant.files.presets import load_preset, shipped_config
from assistant.llm.adapters import add_lora, lora_parameters, merge_lora, set_lora_scale
from assistant.llm.llm import Llm, LlmCache
from assistant.parts.build import build_llm
from assistant.parts.tiny import toy_llm

TINY = load_preset(shipped_config(), "tiny")[1]
LLM = build_llm(TINY)
PROMPT = LLM.embed(LLM.ids("what was said?"))
GREEDY = GenerationConfig(max_new_tokens=20, beams=1)


def heard(llm: Llm, *pieces: Tensor) -> LlmCache:
    cache = llm.cache()
    for piece in pieces:
        cache.extend(piece)
    return cache


def answer(
    llm: Llm, embeds: Tensor = PROMPT, config: GenerationConfig = GREEDY, **changes: object
) -> list[int]:
    return list(heard(llm, embeds).tokens(config.model_copy(update=changes)))


def logits(cache: LlmCache) -> Tensor:
    return cache.logits()


def close(a: Tensor, b: Tensor, tolerance: float = 5e-5) -> None:  # toy logits reach 7
    torch.testing.assert_close(a, b, atol=tolerance, rtol=tolerance)


def toy(context: int | None = None, stop: tuple[str, ...] = ()) -> Llm:
    model, tokenizer = toy_llm(3)
    model.requires_grad_(False)
    if context is not None:
        model.config.max_position_embeddings = context
    return Llm(model, tokenizer, list(stop))


@pytest.fixture(scope="module")
def plain() -> list[int]:
    """The toy's greedy answer; the tests below need one that runs to its full length."""
    found = answer(LLM)
    assert len(found) == 20
    return found


# --- the cache ------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, len(PROMPT)), max_size=6).map(sorted))
def test_embeddings_may_come_in_any_pieces(points: list[int]) -> None:
    whole = heard(LLM, PROMPT)
    cuts = itertools.pairwise([0, *points, len(PROMPT)])
    parts = heard(LLM, *(PROMPT[a:b] for a, b in cuts))
    assert parts.length == whole.length == len(PROMPT)
    close(logits(parts), logits(whole))
    for _ in range(4):
        assert parts.next_token(GREEDY) == whole.next_token(GREEDY)


def test_the_logits_are_those_of_one_pass_without_a_cache() -> None:
    with torch.inference_mode():
        expected = LLM.model(inputs_embeds=PROMPT[None]).logits[0, -1]
    close(logits(heard(LLM, *PROMPT.split(5))), expected)


def test_the_greedy_answer_is_transformers_own(plain: list[int]) -> None:
    with torch.inference_mode():
        expected = LLM.model.generate(
            inputs_embeds=PROMPT[None],
            attention_mask=torch.ones(1, len(PROMPT)),
            do_sample=False,
            max_new_tokens=20,
            pad_token_id=1,
        )
    assert plain == expected[0].tolist()
    assert LLM.beam_search(PROMPT, GREEDY) == plain


def test_more_beams_find_an_answer_at_least_as_likely(plain: list[int]) -> None:
    def score(ids: list[int]) -> float:
        with torch.inference_mode():
            out = LLM.model(inputs_embeds=torch.cat([PROMPT, LLM.embed(ids)])[None]).logits[0]
        chosen = out.log_softmax(-1)[len(PROMPT) - 1 : -1]
        return float(chosen[range(len(ids)), ids].sum())

    found = LLM.beam_search(PROMPT, GREEDY.model_copy(update={"beams": 4}))
    assert len(found) == 20
    assert found != plain
    assert score(found) > score(plain)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, len(PROMPT)), st.integers(0, 5))
def test_truncating_is_never_having_heard_the_rest(length: int, said: int) -> None:
    cache = heard(LLM, PROMPT)
    for _ in range(said):
        cache.next_token(GREEDY)
    cache.truncate(length)
    assert cache.length == length
    other = LLM.embed(LLM.ids("and then?"))
    cache.extend(other)
    never = heard(LLM, PROMPT[:length], other)
    close(logits(cache), logits(never))
    penalised = GREEDY.model_copy(update={"repetition_penalty": 2.0, "max_new_tokens": 5})
    assert list(cache.tokens(penalised)) == list(never.tokens(penalised))


@pytest.mark.parametrize("length", [-1, len(PROMPT) + 1])
def test_truncating_out_of_range_is_an_error_that_changes_nothing(
    length: int, plain: list[int]
) -> None:
    cache = heard(LLM, PROMPT)
    with pytest.raises(ValueError, match=f"cannot truncate {len(PROMPT)} positions to {length}"):
        cache.truncate(length)
    assert list(cache.tokens(GREEDY)) == plain


def test_truncating_to_all_that_is_held_keeps_the_next_token(plain: list[int]) -> None:
    cache = heard(LLM, PROMPT)
    cache.truncate(len(PROMPT))
    assert cache.next_token(GREEDY) == plain[0]


def test_there_is_no_next_token_before_something_is_heard() -> None:
    cache = LLM.cache()
    losses: list[Callable[[LlmCache], None]] = [
        lambda cache: None, lambda cache: cache.extend(PROMPT[:0]), _heard_and_lost,
    ]  # fmt: skip
    for lose in losses:
        lose(cache)
        with pytest.raises(RuntimeError, match="needs extend"):
            cache.next_token(GREEDY)


def _heard_and_lost(cache: LlmCache) -> None:
    cache.extend(PROMPT)
    cache.truncate(len(PROMPT) - 1)


def test_a_fork_and_its_origin_do_not_touch_each_other(plain: list[int]) -> None:
    config = GREEDY.model_copy(update={"repetition_penalty": 1.5})
    expected = answer(LLM, config=config)
    first = heard(LLM, PROMPT)
    started = [first.next_token(config) for _ in range(3)]
    twins = [first.fork(), first.fork(), first.fork()]
    first.extend(LLM.embed(LLM.ids("something else")))
    assert [t.length for t in twins] == [len(PROMPT) + 3] * 3
    twins[0].truncate(2)
    twins[1].extend(PROMPT)
    assert len(list(twins[1].tokens(config))) == 20
    assert started + [twins[2].next_token(config) for _ in range(17)] == expected
    first.truncate(len(PROMPT))
    assert twins[1].length == 2 * len(PROMPT) + 23
    assert first.length == len(PROMPT)


def test_a_forks_doings_leave_the_origin_as_it_was(plain: list[int]) -> None:
    origin = heard(LLM, PROMPT)
    twin = origin.fork()
    twin.extend(PROMPT)
    twin.truncate(1)
    assert list(origin.tokens(GREEDY)) == plain


def test_two_caches_of_one_llm_do_not_touch_each_other() -> None:
    config = GREEDY.model_copy(update={"repetition_penalty": 1.5})
    other = LLM.embed(LLM.ids("something else"))
    first, second = heard(LLM, PROMPT), heard(LLM, other)
    said = [(first.next_token(config), second.next_token(config)) for _ in range(9)]
    second.truncate(2)
    second.extend(PROMPT)
    said_later = [first.next_token(config) for _ in range(11)]
    assert [token for token, _ in said] + said_later == answer(LLM, config=config)
    assert [token for _, token in said] == answer(LLM, other, config)[:9]


def test_an_answer_that_ended_at_once_leaves_nothing_behind(plain: list[int]) -> None:
    llm = toy(stop=(LLM.tokenizer.convert_ids_to_tokens(plain[0]),))
    cache = heard(llm, PROMPT)
    assert list(cache.tokens(GREEDY)) == []
    more = LLM.embed(LLM.ids("something else"))
    cache.extend(more)
    penalised = GREEDY.model_copy(update={"repetition_penalty": 3.0})
    wanted = answer(llm, torch.cat([PROMPT, more]), penalised)
    assert list(cache.tokens(penalised)) == wanted != []


# --- the end of the context, and of answers -------------------------------------------------------


def test_the_context_fills_to_its_last_position_and_no_further() -> None:
    llm = toy(context=len(PROMPT))
    cache = heard(llm, PROMPT)
    message = f"{len(PROMPT) + 1} positions are needed; the LLM's context holds {len(PROMPT)}"
    with pytest.raises(ContextFullError, match=message):
        cache.extend(PROMPT[:1])
    assert cache.length == len(PROMPT)
    with pytest.raises(ContextFullError):
        heard(llm, torch.cat([PROMPT, PROMPT[:1]]))


@pytest.mark.parametrize("room", [0, 1, 5, 19])
def test_an_answer_stops_at_the_end_of_the_context(room: int, plain: list[int]) -> None:
    assert answer(toy(context=len(PROMPT) + room)) == plain[:room]


@pytest.mark.parametrize("most", [1, 19, 20])
def test_an_answer_stops_at_max_new_tokens(most: int, plain: list[int]) -> None:
    assert answer(LLM, max_new_tokens=most) == plain[:most]


def test_a_stop_token_ends_the_answer_and_is_not_part_of_it(plain: list[int]) -> None:
    first = next(i for i, token in enumerate(plain) if i > 2 and token not in plain[:i])
    stop = plain[first]
    llm = toy(stop=(LLM.tokenizer.convert_ids_to_tokens(stop),))
    assert llm.stop_ids == {1, stop}  # the model's own too
    cache = heard(llm, PROMPT)
    assert list(cache.tokens(GREEDY)) == plain[:first]
    assert cache.length == len(PROMPT) + first
    assert llm.beam_search(PROMPT, GREEDY) == plain[:first]


@pytest.mark.parametrize("own", [None, 1, [1, 7]])
def test_the_models_own_end_tokens_stop_it(own: int | list[int] | None) -> None:
    model, tokenizer = toy_llm(3)
    model.config.eos_token_id = own
    expected = set() if own is None else {own} if isinstance(own, int) else set(own)
    assert Llm(model, tokenizer, []).stop_ids == expected


def test_an_unknown_stop_token_is_an_error_that_names_the_key() -> None:
    with pytest.raises(ConfigError, match=r"^prompt\.stop: '<end>' is not a token"):
        toy(stop=("</s>", "<end>"))
    model, tokenizer = toy_llm(3)
    tokenizer.unk_token = "a"  # unknown words now have an id
    with pytest.raises(ConfigError, match=r"^prompt\.stop: '<end>' is not a token"):
        Llm(model, tokenizer, ["<end>"])


# --- choosing tokens ------------------------------------------------------------------------------


def test_sampling_repeats_with_its_seed_and_varies_with_another(plain: list[int]) -> None:
    config = GREEDY.model_copy(update={"sample": True, "temperature": 2.0})
    answers = [answer(LLM, config=config, seed=seed) for seed in (1, 1, 2)]
    assert answers[0] == answers[1]
    assert answers[0] != answers[2]
    assert plain not in answers


def test_sampling_from_almost_no_mass_is_greedy(plain: list[int]) -> None:
    for seed in range(5):
        assert answer(LLM, sample=True, temperature=2.0, top_p=1e-6, seed=seed) == plain


@pytest.mark.parametrize("top_p", [0.3, 0.6, 0.9])
def test_sampling_draws_from_the_fewest_tokens_that_hold_the_mass(top_p: float) -> None:
    cache = heard(LLM, PROMPT)
    ranked = sorted(enumerate((logits(cache) / 2.0).softmax(-1).tolist()), key=lambda p: -p[1])
    held, allowed = 0.0, dict[int, float]()
    for token, probability in ranked:
        if held < top_p:
            allowed[token] = probability
        held += probability
    config = GREEDY.model_copy(update={"sample": True, "temperature": 2.0, "top_p": top_p})
    random = torch.Generator().manual_seed(0)
    drawn = []
    for _ in range(400):
        drawn.append(cache.next_token(config, random))
        cache.truncate(len(PROMPT))
    assert set(drawn) <= allowed.keys()
    likeliest = ranked[0][0]
    share = allowed[likeliest] / sum(allowed.values())
    assert drawn.count(likeliest) / 400 == pytest.approx(share, abs=0.08)


@pytest.mark.parametrize("penalty", [0.8, 1.3, 3.0])
def test_the_repetition_penalty_is_transformers(penalty: float, plain: list[int]) -> None:
    processor = RepetitionPenaltyLogitsProcessor(penalty)
    said: list[int] = []
    for _ in range(20):
        scores = logits(heard(LLM, torch.cat([PROMPT, LLM.embed(said)])))[None]
        said.append(int(processor(torch.tensor([said], dtype=torch.long), scores).argmax()))
    assert said != plain
    assert answer(LLM, repetition_penalty=penalty) == said


# --- LoRA -----------------------------------------------------------------------------------------

LORA = LoraConfig(rank=4, alpha=8.0, dropout=0.0)


def with_random_adapters() -> Llm:
    model, tokenizer = toy_llm(3)
    adapted = add_lora(model, LORA).eval()
    random = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in lora_parameters(adapted).values():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=random))
    return Llm(adapted, tokenizer, [])


def test_fresh_adapters_change_nothing(plain: list[int]) -> None:
    llm = build_llm(TINY, train=True)
    assert isinstance(llm.model, peft.PeftModel)
    assert torch.equal(logits(heard(llm, PROMPT)), logits(heard(LLM, PROMPT)))
    assert answer(llm) == plain
    assert (llm.width, llm.context) == (LLM.width, LLM.context)


def test_adapters_alone_are_trained_and_named_for_their_layers() -> None:
    llm = build_llm(TINY, train=True)
    trained = {k for k, p in llm.model.named_parameters() if p.requires_grad}
    assert trained == lora_parameters(llm.model).keys()
    assert trained == {
        f"base_model.model.model.layers.{layer}.self_attn.{part}.lora_{side}.default.weight"
        for layer in (0, 1)
        for part in ("q_proj", "v_proj")
        for side in "AB"
    }


def test_merged_adapters_do_what_they_did_beside_the_weights(plain: list[int]) -> None:
    beside = with_random_adapters()
    expected, said = logits(heard(beside, PROMPT)), answer(beside)
    merged = Llm(merge_lora(beside.model), beside.tokenizer, [])
    assert isinstance(merged.model, LlamaForCausalLM)
    close(logits(heard(merged, PROMPT)), expected, 1e-4)
    assert answer(merged) == said
    assert said != plain


@pytest.mark.parametrize(("scale", "factor"), [(None, 2.0), (0.0, 0.0), (0.5, 0.5), (4.0, 4.0)])
def test_merging_adds_scale_b_a(scale: float | None, factor: float) -> None:
    adapted = with_random_adapters().model
    name = "base_model.model.model.layers.1.self_attn.v_proj"
    a, b = (lora_parameters(adapted)[f"{name}.lora_{s}.default.weight"].clone() for s in "AB")
    if scale is not None:
        set_lora_scale(adapted, scale)
    merged = merge_lora(adapted)
    before, after = (m.model.layers[1].self_attn.v_proj.weight for m in (toy_llm(3)[0], merged))
    close(after, before + factor * b @ a)
    untouched = "model.layers.1.self_attn.k_proj.weight"
    assert torch.equal(merged.state_dict()[untouched], toy_llm(3)[0].state_dict()[untouched])


def test_the_scale_can_be_replaced_beside_the_weights() -> None:
    beside, halved = with_random_adapters(), with_random_adapters()
    set_lora_scale(halved.model, 0.5)
    set_lora_scale(beside.model, 0.5)
    merged = merge_lora(beside.model)
    expected = logits(heard(Llm(merged, beside.tokenizer, []), PROMPT))
    close(logits(heard(halved, PROMPT)), expected, 1e-4)
