"""How should the encoders stream? Whisper's decoder and the sound tagger judge each schedule.

    python -m bench.encoder_streaming [--clips 20] [--sounds 40] [--plot FILE] [--json FILE]

The figures behind docs/adr/0003-streaming-encoders.md. What is heard is nano's own ear: the last
layer of Whisper for its decoder, all features for the tagger, which was trained on cached blocks of
2.56 s. Features shorter than 30 s are filled up with the features of silence, without which the
decoder falls into loops. Where it still does, a clip counts as all wrong and no more: otherwise one
loop would outweigh ten clips.
"""

import time
from pathlib import Path
from typing import Any

import matplotlib
import torch
import torch.nn.functional as F
import whisper
from rich.progress import track
from torch import Tensor, nn

from assistant.config import AlignerConfig, EncodingConfig, ModelConfig
from assistant.ear.aligner import join
from assistant.ear.ear import Ear
from assistant.files.presets import load_preset, shipped_config
from assistant.parts.build import build_ear, build_tagger
from assistant.parts.components import find_whisper
from assistant.rates import CLIP_SAMPLES, SAMPLE_RATE
from assistant.sound import recording
from assistant.sound.spectra import clip_mel
from bench.common import SPEECHOCEAN, keep, parser, read_clips, show, without
from lab.corpora.sounds import read_sounds
from lab.score import right, word_error_rate

matplotlib.use("Agg")
from matplotlib import pyplot

WINDOW = 16  # features, 0.32 s
SOUNDS = SPEECHOCEAN.parents[1] / "sound"
SOUND_S = 5
"""Seconds of a held-out sound that are heard."""


def cached(windows: int) -> EncodingConfig:
    """Blocks of so many windows, cached keys and values of all before them."""
    return EncodingConfig(
        mode="cached",
        block_windows=windows,
        horizon_blocks=88 // windows,  # 28.16 s
        overlap_blocks=max(1, 16 // windows),
    )


def recompute(left_s: float, ahead_s: float) -> EncodingConfig:
    """Blocks of 1.28 s, encoded again with so much before and after them."""
    return EncodingConfig(
        mode="recompute", block_windows=4, left_context_s=left_s, look_ahead_s=ahead_s
    )


CURVES = {
    "block length, s (cached, no look-ahead)": {0.32 * n: cached(n) for n in (1, 2, 4, 8, 16)},
    "look-ahead, s (1.28 s blocks, 8 s left)": {
        s: recompute(8.0, s) for s in (0.0, 0.32, 0.64, 1.28)
    },
    "left context, s (1.28 s blocks, 0.64 s ahead)": {
        s: recompute(s, 0.64) for s in (1.28, 2.56, 8.0)
    },
}  # fmt: skip


class PassThrough(nn.Module):
    """Stands in for the aligner: the "audio tokens" are the encoders' features themselves."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.config = AlignerConfig(window_features=WINDOW, stride_features=WINDOW)
        self.queries = nn.Parameter(torch.zeros(0))
        self.projection = nn.Linear(1, width)

    def fuse(self, speech: Tensor, audio: Tensor | None) -> Tensor:
        return speech if audio is None else join([speech, audio])

    def windows(self, features: Tensor) -> Tensor:
        whole = len(features) // WINDOW
        return features[: whole * WINDOW].view(whole, WINDOW, features.shape[1])

    def forward(self, windows: Tensor) -> Tensor:
        return windows


def capped_error_rate(references: list[str], hypotheses: list[str]) -> float:
    """Word error rate with at most 100 % per clip."""
    words = [len(text.split()) for text in references]
    pairs = zip(references, hypotheses, words, strict=True)
    wrong = sum(min(1.0, word_error_rate([r], [h])) * n for r, h, n in pairs)
    return wrong / sum(words)


def read_held_out(count: int) -> list[tuple[Tensor, str]]:
    """Held-out sounds, spread over all of them: samples and class."""
    sounds = [s for s in read_sounds(SOUNDS) if s.split == "dev"]
    chosen = sounds[:: max(1, len(sounds) // count)][:count]
    return [
        (torch.from_numpy(recording.load(s.path)[: SOUND_S * SAMPLE_RATE]), s.label) for s in chosen
    ]


class Judge:
    """What judges features: Whisper's decoder their words, the tagger their sounds."""

    def __init__(self, model: ModelConfig) -> None:
        weights = find_whisper(model.speech_encoder.weights)
        self.encoder = weights.encoder()
        self._decoder = whisper.Whisper(weights.dims).eval()
        self._decoder.load_state_dict(
            {k: v.float() for k, v in weights.state.items()}, strict=False
        )
        self._greedy = whisper.DecodingOptions(language="en", without_timestamps=True, fp16=False)
        self._silence = self.encoder(clip_mel(torch.zeros(CLIP_SAMPLES), self.encoder.n_mels))
        tagger = build_tagger(model, build_ear(model))
        assert tagger is not None
        self._tagger = tagger

    def words(self, features: Tensor) -> str:
        """What is said."""
        own = features[:, : self.encoder.width]
        filled = torch.cat([own, self._silence[len(own) :]])[None]
        return str(whisper.decode(self._decoder, filled, self._greedy)[0].text)

    def sound(self, features: Tensor) -> str:
        """The class that a block of 2.56 s is surest of."""
        blocks = [features[i : i + 8 * WINDOW] for i in range(0, len(features), 8 * WINDOW)]
        found = [max(self._tagger.probabilities(b).items(), key=lambda p: p[1]) for b in blocks]
        return max(found, key=lambda pair: pair[1])[0]


def hear(ear: Ear, samples: Tensor) -> Tensor:
    """A recording's features as a stream brings them."""
    stream = ear.stream()
    return torch.cat([stream.push(samples), stream.flush()])[:1500]


@torch.inference_mode()
def main() -> None:
    arguments = parser(__doc__, clips=20)
    arguments.add_argument("--sounds", type=int, default=40, help="held-out sounds used")
    arguments.add_argument("--plot", type=Path, help="draw the curves")
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    model = load_preset(shipped_config(), "nano")[1]
    judge, clips, sounds = Judge(model), read_clips(options), read_held_out(options.sounds)
    texts = [clip.text for clip in clips]
    seconds = sum(len(clip.samples) for clip in clips) / SAMPLE_RATE
    encoder = judge.encoder
    full = [encoder(clip_mel(torch.from_numpy(c.samples), encoder.n_mels)) for c in clips]
    found = [judge.words(features) for features in full]
    offline = 100 * capped_error_rate(texts, found)
    rows: list[dict[str, Any]] = []
    for curve, schedules in CURVES.items():
        for value, schedule in schedules.items():
            ear = build_ear(model.model_copy(update={"encoding": schedule}))
            ear.aligner = PassThrough(ear.feature_width)  # type: ignore[assignment]
            begin = time.perf_counter()
            heard = [
                hear(ear, torch.from_numpy(c.samples)) for c in track(clips, f"{value:g} {curve}")
            ]
            spent = time.perf_counter() - begin
            found = [judge.words(features) for features in heard]
            right_ones = [right(judge.sound(hear(ear, s)), label) for s, label in sounds]
            cosines = [
                F.cosine_similarity(a[: len(b), : encoder.width], b[: len(a)]).mean()
                for a, b in zip(heard, full, strict=True)
            ]
            rows.append(
                {"curve": curve, "value": value, "WER, %": 100 * capped_error_rate(texts, found),
                 "sounds right, %": 100 * sum(right_ones) / len(right_ones),
                 "cosine": float(torch.stack(cosines).mean()), "real-time factor": spent / seconds}
            )  # fmt: skip
    print(f"nano's encoders; full attention over 30 s: WER {offline:.3g} %")
    for curve in CURVES:
        show(curve, without("curve", [row for row in rows if row["curve"] == curve]))
    if options.plot is not None:
        draw(rows, offline, options.plot)
    keep(options, {"clips": len(clips), "sounds": len(sounds), "offline": offline, "rows": rows})


def draw(rows: list[dict[str, Any]], offline: float, path: Path) -> None:
    """A panel per curve: word errors, sounds told, and the cosine with full attention."""
    figure, panels = pyplot.subplots(1, len(CURVES), figsize=(13, 3.8), sharey=True, layout="tight")
    for panel, curve in zip(panels, CURVES, strict=True):
        ours = [row for row in rows if row["curve"] == curve]
        x = list(range(len(ours)))
        panel.plot(x, [row["WER, %"] for row in ours], "o-", label="word error rate, %")
        panel.plot(x, [row["sounds right, %"] for row in ours], "s-", label="sounds right, %")
        panel.plot(x, [100 * row["cosine"] for row in ours], "^:", label="cosine x 100")
        panel.axhline(offline, linestyle="--", color="grey", label="word error rate, 30 s at once")
        panel.set_xlabel(curve)
        panel.set_xticks(x, [f"{row['value']:g}" for row in ours])
        panel.grid(alpha=0.3)
    panels[0].set_ylim(0, 105)
    panels[-1].legend(fontsize=8)
    figure.savefig(path)


if __name__ == "__main__":
    main()
