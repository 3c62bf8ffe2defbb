"""Does hearing live change what is heard? `replay` against `ask` on the same recordings.

    python -m bench.streaming_error [--clips 50] [--preset NAME] [--manifest FILE] [--json FILE]

Each recording goes through a session as PCM in 20 ms chunks (endpointing, pre-roll and all), and
whole through `ask`. Reported: word error rates of both, and the cosine between the audio tokens of
each utterance as it was streamed and the tokens of the same samples encoded at once.
"""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from rich.progress import track

from assistant import audio
from assistant.audio import Samples
from assistant.conversation import Conversation
from assistant.evaluation.score import word_error_rate
from assistant.model import Salmonn, load
from assistant.presets import shipped_config
from bench.common import keep, parser, read_clips, show
from streaming.config import EndpointingConfig, load_config
from streaming.events import ReplyDelta, ReplyEnded
from streaming.replay import replay
from streaming.session import Session
from streaming.vad import Endpointer, webrtc

INSTRUCTION = "Transcribe the speech."


class Tapped(Conversation):
    """A conversation that keeps the samples it heard and a second stream's tokens of them."""

    def __init__(self, model: Salmonn) -> None:
        super().__init__(model, INSTRUCTION)
        self._ear = model.ear
        self._twin = model.ear.stream()
        self._heard: list[Samples] = []
        self._tokens: list[torch.Tensor] = []
        self.cosines: list[torch.Tensor] = []

    def hear(self, samples: Samples) -> int:
        self._heard.append(samples)
        self._tokens.append(self._twin.push(torch.from_numpy(samples)))
        return super().hear(samples)

    def reply(self) -> Iterator[str]:
        streamed = torch.cat([*self._tokens, self._twin.flush()])
        offline = self._ear.hear(torch.from_numpy(np.concatenate(self._heard)))
        # published clips are always padded to 88 tokens; the stream stops where the sound does
        self.cosines.append(F.cosine_similarity(streamed, offline[: len(streamed)]))
        self._heard, self._tokens = [], []
        return super().reply()


def live(model: Salmonn, samples: Samples, settings: EndpointingConfig) -> tuple[str, torch.Tensor]:
    """The replies to a recording's utterances, and the cosines of all its tokens."""
    talk = Tapped(model)
    lookback = settings.pre_roll_frames + settings.min_speech_frames
    endpointer = Endpointer(webrtc(settings.aggressiveness), settings)
    words = []
    for event in replay(Session(endpointer, talk, lookback), audio.to_pcm16(samples)):
        if isinstance(event, ReplyDelta):
            words.append(event.text)
        elif isinstance(event, ReplyEnded):
            words.append(" ")
    return "".join(words), torch.cat(talk.cosines) if talk.cosines else torch.zeros(0)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--preset", help="a preset of config.yaml")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    config = load_config(shipped_config(), chosen.preset)
    model = load(config.model)
    clips = read_clips(chosen)
    streamed, offline, cosines = [], [], []
    for clip in track(clips, "hearing"):
        text, cosine = live(model, clip.samples, config.endpointing)
        streamed.append(text)
        cosines.append(cosine)
        offline.append("".join(model.ask(clip.samples, INSTRUCTION)))
    cosine = torch.cat(cosines)
    texts = [clip.text for clip in clips]
    figures = {
        "clips": len(clips),
        "audio tokens": len(cosine),
        "least cosine": float(cosine.min()),
        "mean cosine": float(cosine.mean()),
        "WER replay, %": 100 * word_error_rate(texts, streamed),
        "WER ask, %": 100 * word_error_rate(texts, offline),
        "no speech found": sum(not text for text in streamed),
    }
    show(f"{config.preset}: streamed against offline", [figures])
    keep(chosen, figures)


if __name__ == "__main__":
    main()
