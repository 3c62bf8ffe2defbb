"""The caption decoder against openai-whisper's own, on seeded toy weights."""

import pytest
import torch
import whisper
from whisper.model import ModelDimensions

from assistant.captions.decoder import CaptionDecoder, unlooped
from assistant.encoders.whisper import WhisperWeights

DIMS = ModelDimensions(80, 60, 32, 4, 2, 51_865, 448, 32, 4, 2)


@pytest.fixture(scope="module")
def reference() -> whisper.Whisper:
    torch.manual_seed(0)
    model = whisper.Whisper(DIMS).eval()
    for parameter in model.decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.fixture(scope="module")
def decoder(reference: whisper.Whisper) -> CaptionDecoder:
    weights = WhisperWeights(DIMS, reference.state_dict())
    return CaptionDecoder(weights, silence())


def silence() -> torch.Tensor:
    return torch.randn(60, 32, generator=torch.Generator().manual_seed(9)) * 0.1


def features(n: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(n, 32, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("n", [60, 20])
@torch.inference_mode()
def test_it_reads_what_whisper_reads(
    reference: whisper.Whisper, decoder: CaptionDecoder, n: int
) -> None:
    heard = torch.cat([features(n), silence()[n:]])
    options = whisper.DecodingOptions(
        language="en", without_timestamps=True, fp16=False, sample_len=20
    )
    wanted = whisper.decode(reference, heard, options)
    slots = decoder.start()
    for at in range(0, n, 7):  # in pieces, as they come
        decoder.hear(slots, features(n)[at : at + 7], at)
    found = decoder.read(slots, seconds=(20 - 8) / 8)
    assert list(found.tokens) == wanted.tokens
    assert found.no_speech == pytest.approx(wanted.no_speech_prob, rel=1e-3)
    # Whisper leaves out the token after the last one allowed; ours counts it
    assert found.log_probability == pytest.approx(wanted.avg_logprob, rel=0.1)
    assert decoder.text(found.tokens).strip() == wanted.text


@torch.inference_mode()
def test_what_is_settled_stays_and_is_gone_on_from(decoder: CaptionDecoder) -> None:
    slots = decoder.start()
    decoder.hear(slots, features(30), 0)
    whole = decoder.read(slots, seconds=1)
    assert len(whole.tokens) == 16  # 8 a second and 8 to spare: random weights never end
    again = decoder.read(slots, seconds=1, prefix=whole.tokens[:5])
    assert again.tokens == whole.tokens
    other = decoder.read(slots, seconds=1, prefix=(500, 600))
    assert other.tokens[:2] == (500, 600)


@pytest.mark.parametrize("right", [0, 1, 7, 16])
@pytest.mark.parametrize("wrong", [(), (600,), (600, 601, 602)])
@pytest.mark.parametrize("settled", [0, 3])
@torch.inference_mode()
def test_a_guess_changes_nothing(
    decoder: CaptionDecoder, right: int, wrong: tuple[int, ...], settled: int
) -> None:
    slots = decoder.start()
    decoder.hear(slots, features(30), 0)
    whole = decoder.read(slots, seconds=1)
    plain = decoder.read(slots, 1, whole.tokens[:settled])
    guess = (*whole.tokens[settled:right], *wrong)
    found = decoder.read(slots, 1, whole.tokens[:settled], guess)
    assert found.tokens == whole.tokens
    assert found.log_probability == pytest.approx(plain.log_probability, abs=1e-4)
    assert found.no_speech == pytest.approx(plain.no_speech, rel=1e-4)


@torch.inference_mode()
def test_a_right_guess_is_read_in_one_pass(
    decoder: CaptionDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = decoder.start()
    decoder.hear(slots, features(30), 0)
    whole = decoder.read(slots, seconds=1).tokens
    passes: list[int] = []
    logits = decoder._logits

    def counted(tokens: list[int], *rest: object) -> torch.Tensor:
        passes.append(len(tokens))
        return logits(tokens, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(decoder, "_logits", counted)
    start = len(decoder._tokenizer.sot_sequence_including_notimestamps)
    decoder.read(slots, 1, guess=whole)
    assert passes == [start + len(whole)]
    passes.clear()
    decoder.read(slots, 1, guess=(*whole[:13], 600))
    assert passes == [start + 14, 1, 1, 1]


def test_utterances_are_independent_and_end_where_positions_do(decoder: CaptionDecoder) -> None:
    first, second = decoder.start(), decoder.start()
    decoder.hear(first, features(80), 0)
    untouched = decoder.start()
    assert torch.equal(second.keys, untouched.keys)
    assert first.keys.shape == untouched.keys.shape
    decoder.hear(second, features(5), 60)
    assert torch.equal(second.keys, untouched.keys)


def test_weights_without_a_decoder_are_refused(reference: whisper.Whisper) -> None:
    state = {k: v for k, v in reference.state_dict().items() if k.startswith("encoder.")}
    with pytest.raises(ValueError, match="no decoder"):
        CaptionDecoder(WhisperWeights(DIMS, state), silence())


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("", ""),
        ("abcd", "abcd"),
        ("abcdabcd", "abcdabcd"),  # twice: people say things twice
        ("abcdabcdab", "abcd"),
        ("abcdabcda", "abcdabcda"),
        ("xyabcdabcdabcd", "xyabcd"),
        ("abcabcabcabc", "abcabcabcabc"),  # three tokens are no phrase ...
        ("abcabcabcabcabc", "abcabc"),  # ... but six are
        ("aaaaaaaaaa", "aaaa"),
        ("abcdabcdabx", "abcdabcdabx"),
    ],
)
def test_a_loop_is_cut_after_its_first_time(said: str, kept: str) -> None:
    assert unlooped(tuple(map(ord, said))) == tuple(map(ord, kept))
