"""Word error rate of nano beside Whisper base's own decoder, on the same recordings.

    python bench/wer.py [--clips 200] [--manifest FILE] [--json FILE]

Whisper encodes 30 s with full attention and decodes greedily; nano hears in blocks and answers
"Transcribe the speech."
"""

import time

import torch
import whisper
from rich.progress import track

from assistant.files.presets import load_preset, shipped_config
from assistant.model import load
from assistant.parts.components import find_whisper
from assistant.sound.spectra import clip_mel
from bench.common import keep, parser, read_clips, show
from lab.score import word_error_rate


def main() -> None:
    options = parser(__doc__, clips=200).parse_args()
    torch.set_num_threads(options.threads)
    config = load_preset(shipped_config(), "nano")[1]
    model = load(config)
    weights = find_whisper(config.speech_encoder.weights)
    decoder = whisper.Whisper(weights.dims).eval()
    decoder.load_state_dict({k: v.float() for k, v in weights.state.items()}, strict=False)
    greedy = whisper.DecodingOptions(language="en", without_timestamps=True, fp16=False)

    def by_whisper(samples: torch.Tensor) -> str:
        found = whisper.decode(decoder, clip_mel(samples, weights.dims.n_mels), greedy)
        return str(found.text)

    def by_nano(samples: torch.Tensor) -> str:
        return "".join(model.ask(samples.numpy(), "Transcribe the speech."))

    clips = read_clips(options)
    texts = [clip.text for clip in clips]
    rows = []
    for name, transcribe in (("nano", by_nano), ("Whisper base's decoder", by_whisper)):
        begin = time.perf_counter()
        found = [transcribe(torch.from_numpy(clip.samples)) for clip in track(clips, name)]
        rows.append(
            {"model": name, "clips": len(clips), "WER, %": 100 * word_error_rate(texts, found),
             "s per clip": (time.perf_counter() - begin) / len(clips)}
        )  # fmt: skip
    show(str(options.manifest or "speechocean762, held-out speakers"), rows)
    keep(options, {"rows": rows})


if __name__ == "__main__":
    main()
