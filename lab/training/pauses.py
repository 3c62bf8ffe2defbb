"""Pauses in recordings, and what can be known at each: the material of `lab.training.ends`.

    python -m lab.training.pauses [--data ../shared/data] [--out runs/turn_ends] [--preset small]

Every recording is heard as a live stream is. At each pause, which is also where the recording ends,
one JSON line is written: how long the pause lasted, what Whisper's decoder and the LLM expect, and
in a file beside it the last features of Whisper's encoder. Synthetic sentences are cut where
`lab/corpora/unfinished.yaml` says; real ones have their own pauses. What is there already is kept.
"""

import argparse
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from assistant.captions.decoder import CLOSING, GOING_ON
from assistant.conversation import Conversation
from assistant.model import Salmonn, load
from assistant.prompt.prompt import instruction
from assistant.rates import FEATURE_SAMPLES, SAMPLE_RATE
from assistant.sound import recording
from assistant.sound.recording import Samples
from assistant.voice.choose import load_voice
from assistant.voice.voice import VOICE_RATE
from lab.corpora.disguise import disguise
from streaming.audio.endpointer import Endpointer, SpeechPaused, SpeechResumed
from streaming.audio.frames import FRAME_SAMPLES, Frame
from streaming.audio.wire_audio import InputDecoder, InputFormat
from streaming.config import EndpointingConfig
from streaming.config_file import load_config
from streaming.detectors.silero import silero
from streaming.events import SpeechStarted

KEPT = 64
"""Features that are kept before the end of speech, 1.28 s."""

CORPORA = {
    "minds14": 788,
    "coffee-orders": 200,
    "commonvoice_recent": 200,
    "commonvoice_v1": 100,
    "speechocean762": 300,
    "librispeech": 60,
}
"""Recordings taken of each."""

SHARES = {"train": 0.5, "choose": 0.7, "report": 1.0}
"""Of speakers and texts, up to which part each set goes."""


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


def spoken() -> Iterator[tuple[Clip, list[int]]]:
    """Synthetic sentences, cut and whole, with the samples at which each is cut."""
    path = Path(__file__).parents[1] / "corpora" / "unfinished.yaml"
    for kind, sentences in yaml.safe_load(path.read_text(encoding="utf-8")).items():
        for sentence in sentences:
            yield _said(kind, sentence)


def _said(kind: str, sentence: str) -> tuple[Clip, list[int]]:
    parts = sentence.split("|")
    text, cuts = "".join(parts), np.cumsum([len(part) for part in parts])[:-1]
    rng = np.random.default_rng(int(hashlib.sha256(text.encode()).hexdigest()[:8], 16))
    voice = load_voice("heart")
    assert voice is not None
    speech = voice.speak(text, float(rng.uniform(0.85, 1.15)))
    samples = np.frombuffer(speech.pcm, "<i2").astype(np.float32) / 2**15
    starts = {0: 0} | {
        word.end: after.begin for word, after in zip(speech.words, speech.words[1:], strict=False)
    }
    pieces, begun, places = [np.zeros(VOICE_RATE // 2, np.float32)], 0, []
    for cut in cuts:
        at = starts[min(starts, key=lambda end, cut=cut: abs(end - cut))]
        if at > begun:
            piece = samples[begun:at].copy()
            piece[-120:] *= np.linspace(1, 0, 120, dtype=np.float32)[-len(piece) :]
            places.append(sum(map(len, pieces)) + len(piece))
            pause = np.zeros(int(rng.uniform(0.4, 1.0) * VOICE_RATE), np.float32)
            pieces, begun = [*pieces, piece, pause], at
    pieces += [samples[begun:], np.zeros(int(1.2 * VOICE_RATE), np.float32)]
    whole = recording.resample(np.concatenate(pieces), VOICE_RATE)
    if rng.random() < 0.6:
        whole = 0.5 * disguise(whole, rng)
    whole = whole + rng.standard_normal(len(whole)).astype(np.float32) * 5e-4
    name = f"spoken-{kind}/{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return Clip(name, f"spoken-{kind}", text, text, whole.astype(np.float32)), places


def masks(model: Salmonn) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens of the LLM that end a sentence, and those after which it goes on."""
    llm = model.llm
    closing = torch.zeros(llm.vocabulary, dtype=torch.bool)
    going_on = closing.clone()
    for token in range(min(llm.vocabulary, len(llm.tokenizer))):
        text = llm.tokenizer.decode([token]).strip(' "')
        if text.startswith(CLOSING) and not text.startswith(".."):
            closing[token] = True
        elif text.startswith((*GOING_ON, "..", ";", ":")):
            going_on[token] = True
    for token in llm.stop_ids:
        closing[token] = True
    return closing, going_on


class Listener:
    """Hears a recording, and tells what is known at its pauses."""

    def __init__(self, model: Salmonn) -> None:
        self._model = model
        self._closing, self._going_on = masks(model)
        self._end = torch.zeros(model.llm.vocabulary, dtype=torch.bool)
        self._end[list(model.llm.stop_ids)] = True

    def hear(self, samples: Samples) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
        """One row and the last features for each pause."""
        asked = instruction(None, None, None, self._model.config.prompt.default_task)
        talk = Conversation(self._model, asked, turns_kept=12)
        patient = EndpointingConfig(min_silence_frames=1500, max_utterance_s=600)
        endpointer = Endpointer(silero(0.5), patient)
        decoder = InputDecoder(InputFormat())
        frames = decoder.push(recording.to_pcm16(samples)) + decoder.flush()
        begun, row, features = None, None, np.zeros(0)
        for frame in frames:
            talk.hear(frame.samples())
            for change in endpointer.push(Frame(frame.at, frame.pcm)):
                match change:
                    case SpeechStarted(at):
                        begun = at
                        talk.open(max(0, at - 5 * SAMPLE_RATE), spoken_from=at)
                    case SpeechPaused(at):
                        row, features = self._pause(talk, at)
                        row |= {"at": at, "begun": begun}
                    case SpeechResumed():
                        assert row is not None
                        yield row | {"length": frame.at - row["at"]}, features
                        row = None
        if row is not None:
            yield row | {"length": None}, features

    def _pause(self, talk: Conversation, at: int) -> tuple[dict[str, Any], np.ndarray]:
        if talk._open_turn().ahead is not None:
            talk.resume()
        talk.pause()
        turn = talk._open_turn()
        captioner = turn.captioner
        assert captioner is not None
        said = turn.item.transcript
        reading, cache = talk._reading, talk._reading.context
        turn.settle()
        row: dict[str, Any] = {"said": said, "no_words": not said.strip()}
        ending = captioner.ending
        row["whisper"] = [ending.closed, ending.open, ending.bare]
        bare = said.rstrip("".join(CLOSING) + ",-… ")
        from dataclasses import replace

        if bare:
            whole = turn.whole
            reading.show_heard(turn, replace(whole, transcript=bare))
            row["llm"] = [_share(cache, mask) for mask in (self._closing, self._going_on)]
            row["bare_end"] = _share(cache, self._end)
            reading.show_heard(turn, whole)
            row["end"] = _share(cache, self._end)
        windows = [*talk._hearing.windows, *(turn.ahead or ())]
        features = torch.cat([w.speech for w in windows]).float().numpy()
        first = windows[0].at
        stop = (at - first) // FEATURE_SAMPLES
        kept = features[max(0, stop - KEPT) : stop + 8]
        talk.resume()
        return row, kept.astype(np.float16)


def _share(context: Any, mask: torch.Tensor) -> float:
    if context.cache._last is None:
        piece = context._held[-1]
        context.cache.truncate(context.cache.length - 1)
        context.cache.extend(context._llm.embed([piece.ids[-1]]))
    return float(context.cache.share(mask))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, default=Path("../shared/data"))
    options.add_argument("--out", type=Path, default=Path("runs/turn_ends"))
    options.add_argument("--preset", default="small")
    options.add_argument("--most", type=int, default=10_000)
    chosen = options.parse_args()
    out: Path = chosen.out / chosen.preset
    (out / "features").mkdir(parents=True, exist_ok=True)
    rows = out / "pauses.jsonl"
    done = set()
    if rows.exists():
        done = {json.loads(line)["clip"] for line in rows.read_text().splitlines()}
    model = load(load_config(Path("config.yaml"), chosen.preset).model)
    listener = Listener(model)
    real, made = recorded(chosen.data), spoken()
    import time
    count = 0
    for n in range(chosen.most):
        found = next(made, None) if n % 6 == 0 else None
        clip, places = found if found is not None else (next(real, None), [])
        if clip is None:
            break
        if clip.name in done:
            continue
        t = time.time()
        for i, (row, features) in enumerate(listener.hear(clip.samples)):
            file = f"{clip.name.replace('/', '-')}-{i}.npy"
            np.save(out / "features" / file, features)
            about = {"clip": clip.name, "corpus": clip.corpus, "group": clip.group, "n": i}
            about |= {"set": part_of(clip.group), "text": clip.text, "features": file}
            about["places"] = [int(p * SAMPLE_RATE / VOICE_RATE) for p in places]
            with rows.open("a", encoding="utf-8") as file_:
                print(json.dumps(about | row), file=file_)
            count += 1
        print(clip.name, round(len(clip.samples) / SAMPLE_RATE, 1), i + 1, round(time.time() - t, 2), flush=True)


if __name__ == "__main__":
    main()
