"""The voice: how soon it is heard, how well it is understood, and what it costs.

    python -m bench.voice [--presets nano small] [--clips 12] [--json FILE]

First sound: single questions of `everyday.yaml`, each in a session of its own, from the last word
to the first sample of the answer that is no silence; steps are laid out as one worker does them
live, so the 320 ms of silence that are waited for are in it, and a sound card's delay is not.
Understood: Whisper base reads 40 sentences with numbers, times and names; its text and the sentence
are compared as they are said. Cost: seconds of one core for a second of speech, and of its encoding
for the wire.
"""

import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
import whisper

from assistant.files.presets import load_preset, shipped_config
from assistant.model import load
from assistant.parts.components import find_whisper
from assistant.prompt.prompt import instruction
from assistant.rates import SAMPLE_RATE
from assistant.sound.recording import to_pcm16
from assistant.sound.spectra import clip_mel
from assistant.voice.choose import load_voice
from assistant.voice.clauses import Clauses
from assistant.voice.spoken import say
from assistant.voice.voice import VOICE_RATE, Voice
from bench.common import keep, parser, show
from lab.corpora.voices import Voice as Speaker
from lab.evaluation.recorded import Recorded, recordings, room
from lab.evaluation.talks import SINGLE, every
from lab.score import plain, word_error_rate
from streaming.audio.voice_audio import OutputEncoder
from streaming.audio.wire_audio import InputFormat
from streaming.build import build_session
from streaming.config import Config
from streaming.config_file import load_config
from streaming.dialogue.session import one_each
from streaming.events import ReplyAudio, ReplyDelta, ReplyStarted, SpeechEnded
from streaming.instruments.replay import Step, replay
from streaming.instruments.timeline import lay_out

SENTENCES = (
    "A marathon is about 42.2 km long.",
    "The train leaves at 7:30 pm from platform 4.",
    "Water boils at 100 °C, or 212 °F.",
    "Mount Everest is 8,849 m high.",
    "It costs $3.50, and the large one is $12.",
    "The Second World War ended in 1945.",
    "Dr. Smith will see you at 9:15 am.",
    "That makes 3/4 of a cup, or about 180 ml.",
    "Anna and Peter were born on May 5, 1984.",
    "There are 1,440 minutes in a day.",
    "About 50% of all people have heard of it.",
    "Light travels at 299,792 km/s.",
    "Mozart wrote more than 600 pieces, e.g. The Magic Flute.",
    "Mrs. Jones lives at 21 Baker St. in London.",
    "The 1st, the 2nd and the 3rd of June.",
    "A leap year has 366 days.",
    "I heard a dog barking 4 seconds ago.",
    "You could call 555-1234 and ask for Maria.",
    "In the 1990s it was 20 times as much.",
    "Henry VIII had six wives.",
    "**No**, I can't do that. I can only talk.",
    "- Milk\n- Bread\n- 12 eggs",
    "The capital of Australia is Canberra, not Sydney.",
    "Berlin has 3.7 million inhabitants.",
    "It is -5 °C outside, so take a coat.",
    "Bring 2 kg of potatoes and 500 g of butter.",
    "The meeting is at 10:00, and lunch is at 12:45.",
    "Einstein published it in 1905.",
    "The answer is 7 × 8 = 56.",
    "Paris lies on the Seine, and London on the Thames.",
    "The file has 2.5 GB, which takes 10 min.",
    "Shakespeare was born in 1564 in Stratford.",
    "About 70% of the earth is covered by water.",
    "The Amazon is 6,400 km long.",
    "Prof. Brown teaches on Mondays and Thursdays.",
    "That is 1/2 of it, i.e. 15 minutes.",
    "The speed limit is 50 km/h.",
    "She was 1.75 m tall and 30 years old.",
    "The flight takes 8 h, and it costs €450.",
    "See you on 24 December, at 6 pm.",
)


def first_sounds(config: Config, spoken: list[Recorded]) -> Iterator[tuple[float, float]]:
    """Milliseconds from the last word to the first text, and to the first sound, of each answer."""
    model = load(config.model)
    words = instruction(None, None, None, config.model.prompt.default_task)
    for recorded in spoken:
        session = build_session(model, config, words, aloud=True, pace=one_each)
        audio = np.concatenate([room(1.5), *recorded.turns, room(8.0)])
        trace: list[Step] = []
        for _ in replay(session, to_pcm16(audio), trace=trace):
            pass
        yield from waits(trace)


def waits(trace: list[Step]) -> Iterator[tuple[float, float]]:
    """Of each answer in a trace that was spoken."""
    ended = text = None
    for placed in lay_out(trace):
        for event in placed.step.events:
            match event:
                case SpeechEnded(at):
                    ended = at / SAMPLE_RATE
                case ReplyStarted():
                    text = None
                case ReplyDelta():
                    text = text or placed.end
                case ReplyAudio(pcm=pcm) if pcm and ended is not None and text is not None:
                    samples = np.abs(np.frombuffer(pcm, "<i2").astype(np.int32))
                    silence = int(np.argmax(samples > 0.02 * samples.max())) / VOICE_RATE
                    yield 1000 * (text - ended), 1000 * (placed.end + silence - ended)
                    ended = None


def understood(voice: Voice) -> tuple[float, list[tuple[str, str]]]:
    """Word error rate of Whisper base on what a voice says, and what it read wrongly."""
    weights = find_whisper(load_preset(shipped_config(), "nano")[1].speech_encoder.weights)
    decoder = whisper.Whisper(weights.dims).eval()
    decoder.load_state_dict({k: v.float() for k, v in weights.state.items()}, strict=False)
    greedy = whisper.DecodingOptions(language="en", without_timestamps=True, fp16=False)
    wanted, read = [], []
    for sentence in SENTENCES:
        heard = np.frombuffer(voice.speak(sentence).pcm, "<i2").astype(np.float32) / 32768
        samples = torch.from_numpy(soxr.resample(heard, VOICE_RATE, SAMPLE_RATE))
        found = whisper.decode(decoder, clip_mel(samples, weights.dims.n_mels), greedy)
        wanted.append(_said(sentence))
        read.append(_said(str(found.text)))
    wrong = [pair for pair in zip(wanted, read, strict=True) if pair[0] != pair[1]]
    return 100 * word_error_rate(wanted, read), wrong


def _said(text: str) -> str:
    text = re.sub(r"(?<=\d)\.(?=[0-5]\d ?[ap]\.?m)", ":", text)  # Whisper writes both
    return plain(say(text).replace("-", " ").replace(".m.", "m"))


def cost(voice: Voice) -> dict[str, float]:
    """Seconds of one core for a second of speech, and what one clause takes."""
    clauses = []
    for _ in range(5):
        stage = Clauses()
        for sentence in SENTENCES:
            clauses += stage.push(sentence + " ")
        clauses += stage.flush()
    took, speech_s, encode_s = [], 0.0, 0.0
    encoder = OutputEncoder(InputFormat("mulaw", 8_000))
    for clause in clauses:
        begin = time.perf_counter()
        pcm = voice.speak(clause).pcm
        took.append(time.perf_counter() - begin)
        speech_s += len(pcm) / 2 / VOICE_RATE
        begin = time.perf_counter()
        encoder.push(pcm)
        encode_s += time.perf_counter() - begin
    return {
        "clauses": len(clauses),
        "s of work per s of speech": sum(took) / speech_s,
        "the same, of mu-law": encode_s / speech_s,
        "a clause, p50, ms": 1000 * float(np.percentile(took, 50)),
        "a clause, p95, ms": 1000 * float(np.percentile(took, 95)),
        "the longest, ms": 1000 * max(took),
    }


def main() -> None:
    options = parser(__doc__, clips=12)
    options.add_argument("--presets", nargs="*", default=["nano", "small"], help="who answers")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    voice = load_voice("heart")
    assert voice is not None
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as made:
        speaker = (Speaker("hibari", "heart"),)
        spoken = [*recordings(every(chosen.clips + 1, SINGLE), Path(), Path(made), speaker)]
        for name in chosen.presets:
            config = load_config(shipped_config(), name)
            texts, sounds = zip(*list(first_sounds(config, spoken))[1:], strict=True)
            rows.append(
                {"preset": name, "answers": len(sounds),
                 "first text, p50, ms": float(np.percentile(texts, 50)),
                 "first sound, p50, ms": float(np.percentile(sounds, 50)),
                 "p95, ms": float(np.percentile(sounds, 95))}
            )  # fmt: skip
    rate, wrong = understood(voice)
    if rows:
        show("Last word to first sound", rows)
    show("Whisper base reads what it says", [{"sentences": len(SENTENCES), "WER, %": rate}])
    for wanted, read in wrong:
        print(f"  {wanted}\n  {read}\n")
    spent = cost(voice)
    show("What speaking costs, one core", [spent])
    keep(chosen, {"rows": rows, "WER, %": rate, "wrong": wrong, "cost": spent})


if __name__ == "__main__":
    main()
