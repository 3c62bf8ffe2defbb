"""Does hearing live change what is heard? `replay` against `ask` on the same recordings.

    python -m bench.streaming_error [--clips 50] [--preset NAME] [--manifest FILE] [--json FILE]

Each recording goes through a session as PCM in 20 ms chunks (endpointing and all), and whole
through `ask`. Reported: word error rates of both, and the cosine between the audio tokens of the
recording as it was streamed and of the recording encoded at once.
"""

import torch
import torch.nn.functional as F
from rich.progress import track

from assistant.files.presets import shipped_config
from assistant.model import Salmonn, load
from assistant.sound import recording
from assistant.sound.recording import Samples
from bench.common import keep, parser, read_clips, show
from lab.score import word_error_rate
from streaming.audio.frames import FRAME_SAMPLES
from streaming.build import build_session
from streaming.config import Config
from streaming.config_file import load_config
from streaming.dialogue.session import one_each
from streaming.events import ReplyDelta, ReplyEnded
from streaming.instruments.replay import replay

INSTRUCTION = "Transcribe the speech."


def live(model: Salmonn, samples: Samples, config: Config) -> str:
    """The replies to a recording's utterances."""
    session = build_session(model, config, INSTRUCTION, pace=one_each)
    words = []
    for event in replay(session, recording.to_pcm16(samples)):
        if isinstance(event, ReplyDelta):
            words.append(event.text)
        elif isinstance(event, ReplyEnded):
            words.append(" ")
    return "".join(words)


def cosines(model: Salmonn, samples: Samples) -> torch.Tensor:
    """Of each audio token, streamed and offline."""
    stream = model.ear.stream()
    whole = torch.from_numpy(samples)
    streamed = torch.cat([*map(stream.push, whole.split(FRAME_SAMPLES)), stream.flush()])
    # published clips are always padded to 88 tokens; the stream stops where the sound does
    return F.cosine_similarity(streamed, model.ear.hear(whole)[: len(streamed)])


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--preset", help="a preset of config.yaml")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    config = load_config(shipped_config(), chosen.preset)
    model = load(config.model)
    clips = read_clips(chosen)
    streamed, offline, found = [], [], []
    for clip in track(clips, "hearing"):
        streamed.append(live(model, clip.samples, config))
        found.append(cosines(model, clip.samples))
        offline.append("".join(model.ask(clip.samples, INSTRUCTION)))
    cosine = torch.cat(found)
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
