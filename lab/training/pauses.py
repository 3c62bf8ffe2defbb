"""Pauses in recordings, and what can be known at each: the material of `lab.training.ends`.

    python -m lab.training.pauses [--data ../shared/data] [--out runs/turn_ends] [--preset small]

Every recording is heard as a live stream is. At each pause, which is also where the recording ends,
one JSON line is written: how long the pause lasted and what Whisper's decoder expects; in a file
beside it, all that is weighed (`end_of_turn.signs`). Synthetic sentences are cut where
`lab/corpora/unfinished.yaml` says; real ones have their own pauses. What is there already is kept.
"""

import argparse
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise, zip_longest
from pathlib import Path

import numpy as np
import yaml
from rich.progress import track
from torch import Tensor

from assistant.captions.decoder import Ending
from assistant.listening import Listening
from assistant.model import Salmonn, load
from assistant.open_turn import OpenTurn
from assistant.prompt.items import Spoken
from assistant.rates import SAMPLE_RATE
from assistant.sound import recording
from assistant.sound.recording import Samples
from assistant.voice.choose import load_voice
from assistant.voice.voice import VOICE_RATE, SpokenWord
from lab.corpora.disguise import disguise
from streaming.audio.endpointer import Endpointer, SpeechPaused, SpeechResumed
from streaming.audio.wire_audio import InputDecoder, InputFormat
from streaming.config import EndpointingConfig
from streaming.config_file import load_config
from streaming.detectors.silero import silero
from streaming.events import SpeechStarted

PATIENT = EndpointingConfig(min_silence_frames=1500, max_utterance_s=600)
"""Ends no recording before its end."""

CORPORA = {
    "minds14": 788,
    "coffee-orders": 200,
    "commonvoice_recent": 200,
    "commonvoice_v1": 100,
    "speechocean762": 300,
    "librispeech": 60,
}
"""Recordings taken of each."""

TAKES = 3
"""How often each synthetic sentence is spoken: at other speeds, in other rooms, with other pauses.
"""

FADE = 120
"""Samples of a voice that fade where it is cut: 5 ms."""

SHARES = {"train": 0.5, "choose": 0.7, "report": 1.0}
"""Of speakers and texts, up to which part each set goes."""


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause, and what can be known there. Times are samples of the recording."""

    begun: int
    """First sample of speech."""

    at: int
    """One past the last."""

    length: int | None
    """None: the recording ends with it."""

    said: str
    """What was read so far."""

    ending: Ending
    signs: Tensor


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording that is complete."""

    name: str
    corpus: str
    group: str
    """Speaker, or what stands for one; all of a group is in one set."""

    text: str
    samples: Samples


def part_of(group: str) -> str:
    """The set of a group: train, choose or report."""
    share = int(hashlib.sha256(group.encode()).hexdigest()[:8], 16) / 2**32
    return next(name for name, until in SHARES.items() if share < until)


def with_silence(samples: Samples, seconds: float = 1.2) -> Samples:
    """A recording that goes on with its own quietest 0.2 s."""
    size = SAMPLE_RATE // 5
    pieces = samples[: len(samples) // size * size].reshape(-1, size)
    quiet = pieces[np.square(pieces).mean(1).argmin()]
    there_and_back = np.concatenate([quiet[::-1], quiet])
    return np.concatenate([samples, np.resize(there_and_back, int(seconds * SAMPLE_RATE))])


def recorded(data: Path) -> Iterator[Clip]:
    """Real people's recordings, some of each corpus, in an order of their own."""
    chosen = []
    for corpus, count in CORPORA.items():
        lines = (data / "speech" / f"{corpus}.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        rows.sort(key=lambda row: hashlib.sha256(row["file"].encode()).hexdigest())
        chosen += [(corpus, row) for row in rows[:count]]
    chosen.sort(key=lambda one: hashlib.sha256(one[1]["file"].encode()).hexdigest())
    for corpus, row in chosen:
        speaker = str(row.get("speaker", ""))
        known = speaker and "unknown" not in speaker and corpus != "commonvoice_v1"
        group = speaker if known else row.get("text", row["file"])
        samples = recording.load(data / "speech" / corpus / row["file"])
        if len(samples) < 20 * SAMPLE_RATE:
            name = f"{corpus}/{row['file']}"
            yield Clip(name, corpus, group, row.get("text", ""), with_silence(samples))


def spoken() -> Iterator[Clip]:
    """Synthetic sentences, with pauses where somebody stops to think, and whole."""
    path = Path(__file__).parents[1] / "corpora" / "unfinished.yaml"
    kinds = yaml.safe_load(path.read_text(encoding="utf-8"))
    for take in range(TAKES):
        for kind, sentences in kinds.items():
            for sentence in sentences:
                yield _said(kind, sentence, take)


def _said(kind: str, sentence: str, take: int) -> Clip:
    parts = sentence.split("|")
    text, cuts = "".join(parts), np.cumsum([len(part) for part in parts])[:-1]
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    rng = np.random.default_rng(int(digest, 16) + take)
    voice = load_voice("heart")
    assert voice is not None
    speech = voice.speak(text, float(rng.uniform(0.85, 1.15)))
    samples = np.frombuffer(speech.pcm, "<i2").astype(np.float32) / np.float32(2**15)
    pieces, begun = [_silence(0.5)], 0
    for cut in cuts:
        at = _begin_after(speech.words, cut)
        if at > begun:
            piece = samples[begun:at].copy()
            piece[-FADE:] *= np.linspace(1, 0, FADE, dtype=np.float32)[-len(piece) :]
            pieces, begun = [*pieces, piece, _silence(rng.uniform(0.4, 1.0))], at
    pieces += [samples[begun:], _silence(1.2)]
    whole = recording.resample(np.concatenate(pieces), VOICE_RATE)
    if rng.random() < 0.6:
        whole = 0.5 * disguise(whole, rng)
    whole = whole + rng.standard_normal(len(whole)).astype(np.float32) * 5e-4
    name = f"spoken-{kind}/{digest}-{take}"
    return Clip(name, f"spoken-{kind}", text, text, whole.astype(np.float32))


def _silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * VOICE_RATE), np.float32)


def _begin_after(words: Sequence[SpokenWord], cut: int) -> int:
    """First sample of the word after the one whose text ends nearest to a character."""
    begins = {0: 0} | {word.end: after.begin for word, after in pairwise(words)}
    distances = {abs(end - cut): begin for end, begin in reversed(begins.items())}
    return distances[min(distances)]


class Listener:
    """Hears recordings as a session does, and tells what can be known at their pauses."""

    def __init__(self, model: Salmonn) -> None:
        """`model`: of the preset; its LLM is not asked."""
        self._model = model

    def hear(self, samples: Samples) -> Iterator[Pause]:
        """The pauses of a recording, the one that it ends with last."""
        listening = Listening(self._model, True, 30.0, -65.0, False)
        endpointer = Endpointer(silero(0.5), PATIENT)
        decoder = InputDecoder(InputFormat())
        begun, pause, turn = 0, None, None
        for frame in decoder.push(recording.to_pcm16(samples)) + decoder.flush():
            windows = listening.hear(frame.samples())
            if turn is not None:
                turn.hear(windows)
            for change in endpointer.push(frame):
                match change:
                    case SpeechStarted(at):
                        begun, turn = at, _opened(listening, at)
                    case SpeechPaused(at):
                        assert turn is not None
                        pause = _pause(listening, turn, begun, at)
                    case SpeechResumed():
                        assert pause is not None
                        yield replace(pause, length=frame.at - pause.at)
                        pause = None
        if pause is not None:
            yield pause


def _opened(listening: Listening, at: int) -> OpenTurn:
    since = max(0, at - 5 * SAMPLE_RATE)
    turn = OpenTurn(Spoken(0, "", (), since), 0, uttered=True)
    turn.captioner, turn.spoken_from = listening.reader(since, at)
    turn.take(listening.since(since))
    return turn


def _pause(listening: Listening, turn: OpenTurn, begun: int, at: int) -> Pause:
    turn.pause(listening.hearing, read=True)
    assert turn.captioner is not None
    signs = listening.signs(turn)
    assert signs is not None
    said, ending = turn.item.transcript, turn.captioner.ending
    turn.resume()
    return Pause(begun, at, None, said, ending, signs)


def clips(data: Path) -> Iterator[Clip]:
    """All recordings, real and synthetic ones by turns."""
    for pair in zip_longest(recorded(data), spoken()):
        yield from (clip for clip in pair if clip is not None)


def main() -> None:
    """Write the pauses of all recordings."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, default=Path("../shared/data"))
    options.add_argument("--out", type=Path, default=Path("runs/turn_ends"))
    options.add_argument("--preset", default="small")
    chosen = options.parse_args()
    out: Path = chosen.out / chosen.preset
    (out / "signs").mkdir(parents=True, exist_ok=True)
    rows = out / "pauses.jsonl"
    rows.touch()
    done = {json.loads(line)["clip"] for line in rows.read_text(encoding="utf-8").splitlines()}
    listener = Listener(load(load_config(Path("config.yaml"), chosen.preset).model))
    for clip in track(clips(chosen.data), "pauses"):
        if clip.name in done:
            continue
        written = ""
        for n, pause in enumerate(listener.hear(clip.samples)):
            file = f"{clip.name.replace('/', '-')}-{n}.npy"
            np.save(out / "signs" / file, pause.signs.numpy().astype(np.float16))
            row = asdict(replace(pause, signs=None))  # type: ignore[arg-type]
            about = {"clip": clip.name, "corpus": clip.corpus, "set": part_of(clip.group)}
            written += json.dumps(about | row | {"text": clip.text, "signs": file}) + "\n"
        with rows.open("a", encoding="utf-8") as lines:
            lines.write(written)


if __name__ == "__main__":
    main()
