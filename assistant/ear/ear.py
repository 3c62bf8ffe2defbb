"""The ear, from samples to audio tokens: both encoders, their fusion, the windows and the Q-Former.

`Ear` holds the weights and encodes whole recordings; `EarStream` holds the state of one stream and
encodes samples as they come. In cached mode the two agree to rounding. In recompute mode the stream
is an approximation, and `bench/streaming_error.py --preset` measures its error.
"""

import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from assistant.config import EncodingConfig
from assistant.ear.aligner import Aligner, NoAligner, join
from assistant.encoders.attention import KeyValues
from assistant.encoders.beats import Beats, BeatsState
from assistant.encoders.blocks import Anchored, MelBlocks, mel_span, needed, pad_right
from assistant.encoders.whisper import SpeechBlocks, SpeechEncoder
from assistant.rates import (
    ANALYSIS,
    CLIP_SAMPLES,
    FEATURE_SAMPLES,
    MARGIN,
    PATCH_SAMPLES,
    SAMPLE_RATE,
)
from assistant.sound.spectra import SILENCE, clip_mel, fbank, log10_mel, normalise_mel


@dataclass(frozen=True, slots=True)
class Spans:
    """Lengths of a window and of a block, in samples."""

    window: int
    block: int

    def whole(self, length: int) -> int:
        """`length` samples, rounded up to whole windows; at least one window."""
        return max(1, -(-length // self.window)) * self.window


class Ear(nn.Module):
    """Encoders and aligner together. It has no state, so any number of streams may share one."""

    def __init__(
        self,
        speech_encoder: SpeechEncoder,
        audio_encoder: Beats | None,
        aligner: Aligner | NoAligner,
        encoding: EncodingConfig,
    ) -> None:
        super().__init__()
        self.speech_encoder = speech_encoder
        self.audio_encoder = audio_encoder
        self.aligner = aligner
        self.encoding = encoding
        window = aligner.config.window_features * FEATURE_SAMPLES
        self.spans = Spans(window, block=encoding.block_windows * window)
        self._silent_past: tuple[torch.device, KeyValues] | None = None

    @property
    def device(self) -> torch.device:
        """Device that the weights are on."""
        return next(self.speech_encoder.parameters()).device

    @property
    def feature_width(self) -> int:
        """Size of a fused feature: Whisper's and BEATs' joined."""
        audio: int = self.audio_encoder.width if self.audio_encoder is not None else 0
        speech: int = self.speech_encoder.width
        return speech + audio

    @property
    def ahead(self) -> int:
        """Number of samples after a block that are needed to encode it."""
        if self.encoding.mode == "cached":
            return self.looks_ahead * FEATURE_SAMPLES + MARGIN
        return round(self.encoding.look_ahead_s * SAMPLE_RATE)

    @torch.inference_mode()
    def silent_past(self) -> KeyValues:
        """What Whisper's encoder has heard where a stream begins: `encoding.silence_blocks` of
        silence. It was trained on clips of 30 s, most of them silence, and misreads short ones."""
        if self._silent_past is None or self._silent_past[0] != self.device:
            past, encoder = KeyValues(), self.speech_encoder
            block = self.spans.block // FEATURE_SAMPLES
            count = self.encoding.silence_blocks * block
            if count:
                mel = torch.full((encoder.n_mels, 2 * count + 1), SILENCE, device=self.device)
                encoder.attend(encoder.stem(mel, first=True), past, block)
                past.before = past.length
            self._silent_past = self.device, past
        return self._silent_past[1].fork()

    @property
    def looks_ahead(self) -> int:
        """Features after a block that it sees in cached mode."""
        return self.encoding.look_ahead_windows * self.spans.window // FEATURE_SAMPLES

    def stream(self) -> "EarStream":
        """The state of a new stream."""
        return EarStream(self)

    @torch.inference_mode()
    def silence(self) -> Tensor:
        """The last layer's features of Whisper for silence at every position, (horizon, own
        width)."""
        horizon = self.speech_encoder.horizon
        silent = torch.zeros(horizon * FEATURE_SAMPLES, device=self.device)
        if self.encoding.mode == "cached":
            held = self.encoding.horizon_blocks * self.spans.block
            stream = BlockStream(self, KeyValues())
            samples = pad_right(silent[:held], held + MARGIN)
            features, _ = stream.encode(samples, 0, held // FEATURE_SAMPLES)
        else:
            features = self.speech_encoder(clip_mel(silent, self.speech_encoder.n_mels))
        own = features[:, : self.speech_encoder.own_width]
        return torch.cat([own, own[len(own) - (horizon - len(own)) :]])

    @torch.inference_mode()
    def hear(self, samples: Tensor) -> Tensor:
        """Encode a whole recording.

        Args:
            samples: shape (n,), n >= 1, any length.

        Returns:
            Audio tokens, shape (windows * queries, LLM width).
        """
        return self.tokens(self.features(samples))

    def tokens(self, features: Tensor) -> Tensor:
        """Audio tokens of fused features (n, width), shape (windows * queries, LLM width).

        Features after the last whole window are dropped.
        """
        tokens: Tensor = self.aligner(self.aligner.windows(features))
        return tokens.flatten(0, 1)

    def features(self, samples: Tensor) -> Tensor:
        """Fused encoder features of a whole recording, (n, width), of which windows are cut.

        In cached mode the recording is completed to whole windows with silence. In recompute mode,
        as in SALMONN, clips are padded to `encoding.pad_to_s`, and longer recordings are encoded
        piece by piece (docs/adr/0004-long-audio.md).
        """
        samples = samples.to(self.device)
        if self.encoding.mode == "cached":
            return self.aligner.fuse(*self.encode_blocks(samples))
        return self._encode_clips(samples)

    def encode_blocks(self, samples: Tensor) -> tuple[Tensor, Tensor | None]:
        """Both encoders' features of a whole recording in cached mode, before the aligner.

        All blocks of an anchor run in one masked pass, unless they look ahead.

        Returns:
            Whisper's (n, width), and BEATs' (n, width) or None; n is a whole number of windows.
        """
        n = self.spans.whole(len(samples)) // FEATURE_SAMPLES
        samples = pad_right(samples, n * FEATURE_SAMPLES + MARGIN)
        stream = BlockStream(self)
        if not self.looks_ahead:
            return stream.encode(samples, 0, n)
        done = []
        for first in range(0, n, self.spans.block // FEATURE_SAMPLES):
            last = min(n, first + self.spans.block // FEATURE_SAMPLES)
            after = min(self.looks_ahead, n - last)
            done.append(stream.encode(samples[needed(first) :], first, last, after)[0])
        return torch.cat(done), None

    def _encode_clips(self, samples: Tensor) -> Tensor:
        per_clip = CLIP_SAMPLES // self.spans.window
        step = per_clip * self.spans.window  # 88 of 17 features: 29.92 s, so no sample is left out
        clips = []
        for start in range(0, max(1, len(samples)), step):
            rest = samples[start:]
            # a first clip may be 30 s as SALMONN's are; later ones hold no more than their windows
            last = len(rest) <= (step if start else CLIP_SAMPLES)
            features = self._encode_clip(rest)
            if start and last:  # SALMONN's padding belongs to a first clip only
                features = features[: self.spans.whole(len(rest)) // FEATURE_SAMPLES]
            clips.append(features if last else features[: step // FEATURE_SAMPLES])
            if last:
                break
        return torch.cat(clips)

    def _encode_clip(self, clip: Tensor) -> Tensor:
        """Fused features of at most 30 s, as SALMONN's published code makes them: (features,
        width)."""
        clip = pad_right(clip[:CLIP_SAMPLES], SAMPLE_RATE)
        padded = max(self.spans.whole(len(clip)), round(self.encoding.pad_to_s * SAMPLE_RATE))
        n = min(padded, CLIP_SAMPLES) // FEATURE_SAMPLES
        if n == CLIP_SAMPLES // FEATURE_SAMPLES:
            mel = clip_mel(clip, self.speech_encoder.n_mels)
        else:
            mel = _mel(clip, n, self.speech_encoder.n_mels)
        audio = None
        if self.audio_encoder is not None:
            audio = self.audio_encoder(fbank(clip))
        return self.aligner.fuse(self.speech_encoder(mel), audio)


def _mel(samples: Tensor, features: int, n_mels: int) -> Tensor:
    """Log-mel of `samples` with silence after it, (n_mels, 2 * features)."""
    padded = pad_right(samples, features * FEATURE_SAMPLES)
    framed = F.pad(padded[None], (ANALYSIS // 2, ANALYSIS // 2), mode="reflect")[0]
    log_mel = log10_mel(framed, n_mels)[:, : 2 * features]
    return normalise_mel(log_mel, log_mel.max())


class BlockStream:
    """State of both encoders in one stream, in cached mode."""

    def __init__(self, ear: Ear, past: KeyValues | None = None) -> None:
        """Args:
        ear: shared weights.
        past: what Whisper's encoder has heard before; None: the silence that streams begin with.
        """
        self._ear = ear
        block = ear.spans.block // FEATURE_SAMPLES
        limits = block, ear.encoding.horizon_blocks, ear.encoding.overlap_blocks
        self._mel = MelBlocks(ear.speech_encoder.n_mels, block)
        past = ear.silent_past() if past is None else past
        encoder = SpeechBlocks(ear.speech_encoder, past)
        self._speech: Anchored[KeyValues] = Anchored(encoder, *limits)
        self._audio: Anchored[BeatsState] | None = None
        if ear.audio_encoder is not None:
            self._audio = Anchored(ear.audio_encoder, *limits)

    def fork(self) -> "BlockStream":
        """An independent copy."""
        twin = copy.copy(self)
        twin._mel, twin._speech = self._mel.fork(), self._speech.fork()
        twin._audio = None if self._audio is None else self._audio.fork()
        return twin

    def encode(
        self, samples: Tensor, first: int, last: int, after: int = 0
    ) -> tuple[Tensor, Tensor | None]:
        """Encode features [first, last), the next ones of the stream.

        Args:
            samples: the stream from `needed(first)` on, at least to feature `last` + `after` and
                `MARGIN`.
            first: starts a block.
            last: ends a block, or the stream.
            after: features that follow and are seen by this block, which is then one block.

        Returns:
            Whisper's (n, width), and BEATs' or None.
        """
        origin = needed(first)
        start, end = mel_span(first, last)
        is_first = self._mel.first
        stem = self._ear.speech_encoder.stem
        x = stem(self._mel.push(samples[start - origin : end - origin]), is_first)
        follows = None
        if after:
            start, end = mel_span(last, last + after)
            follows = stem(self._mel.fork().push(samples[start - origin : end - origin]), False)
        speech = self._speech.push(x, follows)
        if self._audio is None:
            return speech, None
        assert self._ear.audio_encoder is not None
        start = first * FEATURE_SAMPLES - origin
        frames = fbank(samples[start : last * FEATURE_SAMPLES + MARGIN - origin])
        return speech, self._audio.push(self._ear.audio_encoder.stem(frames))


class EarStream:
    """The ear's state in one stream: takes samples, and gives audio tokens block by block.

    push(a) + push(b) gives the tokens of push(a + b). `flush` gives the pending tokens, with the
    last window completed by silence, and starts anew; `reset` starts anew without them.
    """

    def __init__(self, ear: Ear) -> None:
        self._ear = ear
        self.reset()

    def reset(self) -> None:
        """Forget the stream, and start anew."""
        self._samples = torch.zeros(0)
        self._origin = 0  # stream index of _samples[0]
        self._heard = 0  # end of the stream so far
        self._encoded = 0  # end of the last encoded block
        self._cached = BlockStream(self._ear) if self._ear.encoding.mode == "cached" else None
        self.blocks: list[Tensor] = []
        """Fused features (n, feature width) of each block that became final in the last `push` or
        `flush`."""

    @property
    def speech(self) -> Tensor:
        """The features (n, own width) of Whisper's last layer for the same blocks, joined."""
        width = self._ear.speech_encoder.own_width
        none = torch.zeros(0, width, device=self._ear.device)
        return torch.cat([none, *(block[:, :width] for block in self.blocks)])

    def fork(self) -> "EarStream":
        """An independent copy: it and this stream go on separately."""
        twin = copy.copy(self)  # tensors are replaced, never changed
        twin._cached = None if self._cached is None else self._cached.fork()
        return twin

    def correct(self, samples: Tensor) -> None:
        """Take other samples, (n,), in place of the last n, none of which is in a block that was
        encoded."""
        kept = len(self._samples) - len(samples)
        self._samples = torch.cat([self._samples[:kept], samples])

    @torch.inference_mode()
    def push(self, samples: Tensor) -> Tensor:
        """Take the next samples.

        Args:
            samples: shape (n,), 16 kHz, n >= 0.

        Returns:
            Audio tokens that became final, shape (m, LLM width), m >= 0.
        """
        self._samples = torch.cat([self._samples, samples])
        self._heard += len(samples)
        self.blocks = []
        block, ahead = self._ear.spans.block, self._ear.ahead
        # Block by block even when several came at once: sums in other shapes round otherwise, and
        # what comes out must not depend on how the input was cut, to the last bit.
        done = []
        while self._heard >= self._encoded + block + ahead:
            end = self._encoded + block
            done.append(self._ear.tokens(self._encode(end, self._ear.looks_ahead)))
        return self._joined(done)

    @torch.inference_mode()
    def flush(self) -> Tensor:
        """End the stream and return the pending audio tokens, shape (m, LLM width)."""
        done = []
        self.blocks = []
        spans = self._ear.spans
        end = spans.whole(self._heard) if self._heard else 0
        while self._encoded < end:
            last = min(self._encoded + spans.block, end)
            after = min(self._ear.looks_ahead, (end - last) // FEATURE_SAMPLES)
            done.append(self._ear.tokens(self._encode(last, after)))
        blocks = self.blocks
        self.reset()
        self.blocks = blocks
        return self._joined(done)

    def _encode(self, end: int, after: int) -> Tensor:
        """Fused features of samples [encoded, end), which see `after` features that follow."""
        first, last = self._encoded // FEATURE_SAMPLES, end // FEATURE_SAMPLES
        if self._cached is not None:
            reach = end + after * FEATURE_SAMPLES + MARGIN
            wanted = pad_right(self._samples, reach - self._origin)
            start = needed(first) - self._origin
            heard = wanted[start:].to(self._ear.device)
            speech, audio = self._cached.encode(heard, first, last, after)
            keep = needed(last)
        else:
            speech, audio = self._recompute(first, last)
            keep = self._context_start(end)
        features = self._ear.aligner.fuse(speech, audio)
        self.blocks.append(speech if audio is None else join([speech, audio]))
        self._encoded = end
        drop = max(0, min(keep, self._heard) - self._origin)
        self._samples, self._origin = self._samples[drop:], self._origin + drop
        return features

    def _context_start(self, block_start: int) -> int:
        """First sample of a block's left context, on BEATs' grid of patch columns: so token i is of
        the same patch row as offline."""
        left = round(self._ear.encoding.left_context_s * SAMPLE_RATE)
        return max(0, block_start - left) // PATCH_SAMPLES * PATCH_SAMPLES

    def _recompute(self, first: int, last: int) -> tuple[Tensor, Tensor | None]:
        ear = self._ear
        start, end = self._context_start(first * FEATURE_SAMPLES), last * FEATURE_SAMPLES
        heard = self._samples[start - self._origin : end + self._ear.ahead - self._origin].to(
            ear.device
        )
        heard = pad_right(heard, end - start)
        n = -(-len(heard) // FEATURE_SAMPLES)
        skip = first - start // FEATURE_SAMPLES
        kept = slice(skip, skip + last - first)
        speech = ear.speech_encoder(_mel(heard, n, ear.speech_encoder.n_mels))[kept]
        if ear.audio_encoder is None:
            return speech, None
        audio = ear.audio_encoder(fbank(pad_right(heard, len(heard) + MARGIN)))
        return speech, audio[kept]

    def _joined(self, tokens: list[Tensor]) -> Tensor:
        return torch.cat(
            [torch.zeros(0, self._ear.aligner.width, device=self._ear.device), *tokens]
        )
