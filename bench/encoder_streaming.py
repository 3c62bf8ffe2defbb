"""How should the Whisper encoder stream? Its own decoder judges the features of each schedule.

    python bench/encoder_streaming.py [--clips 40] [--manifest FILE] [--json FILE]

The figures behind docs/adr/0003-streaming-encoders.md. Features shorter than 30 s are filled up
with the features of silence, without which the decoder falls into loops. Where it still does, a
clip counts as all wrong and no more: otherwise one loop would outweigh ten clips.
"""

import time

import torch
import torch.nn.functional as F
import whisper
from rich.progress import track
from torch import Tensor, nn

from assistant.audio import CLIP_SAMPLES, clip_mel
from assistant.components import find_whisper
from assistant.config import AlignerConfig, EncodingConfig
from assistant.ear import Ear
from assistant.evaluation.score import word_error_rate
from assistant.presets import load_preset, shipped_config
from bench.common import keep, parser, read_clips, show

WINDOW = 16  # features, 0.32 s
SCHEDULES = {
    "cached, 0.32 s blocks": {"mode": "cached", "block_windows": 1},
    "cached, 0.64 s blocks": {"mode": "cached", "block_windows": 2},
    "cached, 1.28 s blocks": {"mode": "cached", "block_windows": 4},
    "cached, 2.56 s blocks": {"mode": "cached", "block_windows": 8, "horizon_blocks": 11},
    "recompute, 1.28 s, 8 s left, 0.64 s ahead": {"mode": "recompute", "block_windows": 4},
    "recompute, 0.32 s, 3 s left, 0.32 s ahead": {
        "mode": "recompute", "block_windows": 1, "left_context_s": 3.0, "look_ahead_s": 0.32,
    },
}  # fmt: skip


class PassThrough(nn.Module):
    """Stands in for the aligner: the "audio tokens" are Whisper's features themselves."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.config = AlignerConfig(window_features=WINDOW, stride_features=WINDOW)
        self.queries = nn.Parameter(torch.zeros(0))
        self.projection = nn.Linear(1, width)

    def fuse(self, speech: Tensor, audio: Tensor | None) -> Tensor:
        return speech

    def windows(self, features: Tensor) -> Tensor:
        whole = len(features) // WINDOW
        return features[: whole * WINDOW].view(whole, WINDOW, -1)

    def forward(self, windows: Tensor) -> Tensor:
        return windows


def capped_error_rate(references: list[str], hypotheses: list[str]) -> float:
    """Word error rate with at most 100 % per clip."""
    words = [len(text.split()) for text in references]
    pairs = zip(references, hypotheses, words, strict=True)
    wrong = sum(min(1.0, word_error_rate([r], [h])) * n for r, h, n in pairs)
    return wrong / sum(words)


@torch.inference_mode()
def main() -> None:
    options = parser(__doc__, clips=40).parse_args()
    torch.set_num_threads(options.threads)
    weights = find_whisper(load_preset(shipped_config(), "nano")[1].speech_encoder.weights)
    encoder = weights.encoder()
    decoder = whisper.Whisper(weights.dims).eval()
    decoder.load_state_dict({k: v.float() for k, v in weights.state.items()}, strict=False)
    greedy = whisper.DecodingOptions(language="en", without_timestamps=True, fp16=False)
    silence = encoder(clip_mel(torch.zeros(CLIP_SAMPLES), encoder.n_mels))
    clips = read_clips(options)
    texts = [clip.text for clip in clips]
    rows: list[dict[str, object]] = []

    def transcribe(features: Tensor) -> str:
        filled = torch.cat([features, silence[len(features) :]])[None]
        return str(whisper.decode(decoder, filled, greedy)[0].text)

    def judge(name: str, heard: list[Tensor], seconds: float, full: list[Tensor]) -> None:
        found = [transcribe(features) for features in track(heard, name)]
        pairs = zip(heard, full, strict=True)
        cosines = [F.cosine_similarity(a, b[: len(a)]).mean() for a, b in pairs]
        audio_seconds = sum(len(clip.samples) for clip in clips) / 16_000
        rows.append(
            {"encoding": name, "WER, %": 100 * capped_error_rate(texts, found),
             "cosine": float(torch.stack(cosines).mean()),
             "real-time factor": seconds / audio_seconds}
        )  # fmt: skip

    begin = time.perf_counter()
    full = [encoder(clip_mel(torch.from_numpy(c.samples), encoder.n_mels)) for c in clips]
    judge("padded to 30 s, full attention", full, time.perf_counter() - begin, full)
    for name, settings in SCHEDULES.items():
        schedule = EncodingConfig.model_validate(settings)
        ear = Ear(encoder, None, PassThrough(encoder.width), schedule)  # type: ignore[arg-type]
        begin, heard = time.perf_counter(), []
        for clip in clips:
            stream = ear.stream()
            samples = torch.from_numpy(clip.samples)
            heard.append(torch.cat([stream.push(samples), stream.flush()])[:1500])
        judge(name, heard, time.perf_counter() - begin, full)
    show("Whisper base, judged by its own decoder", rows)
    keep(options, {"clips": len(clips), "rows": rows})


if __name__ == "__main__":
    main()
