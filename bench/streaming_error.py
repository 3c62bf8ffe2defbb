"""Does hearing live change what is heard? Streamed audio tokens and answers against offline ones.

    python bench/streaming_error.py [--clips 50] [--manifest FILE] [--json FILE]

Each recording goes through the same model twice: pushed in 20 ms pieces, and encoded at the end.
Reported: least and mean cosine between audio tokens, and the word error rates of both transcripts.
"""

import torch
import torch.nn.functional as F

from assistant.model import load
from assistant.presets import load_preset, shipped_config
from assistant.training.ctc import word_error_rate
from bench.common import keep, parser, read_clips, show

PIECE = 320  # samples


def main() -> None:
    options = parser(__doc__).parse_args()
    torch.set_num_threads(options.threads)
    model = load(load_preset(shipped_config(), None)[1])
    clips = read_clips(options)
    instruction = "Transcribe the speech."
    before, after = (model.llm.embed(ids) for ids in model.prompt.ids(model.llm, instruction))

    def transcribe(tokens: torch.Tensor) -> str:
        cache = model.llm.cache()
        cache.extend(torch.cat([before, tokens, after]))
        detokenizer = model.llm.detokenizer()
        return "".join(map(detokenizer.push, cache.tokens(model.config.generation)))

    cosines, answers = [], {"streamed": [], "offline": []}
    for clip in clips:
        samples = torch.from_numpy(clip.samples)
        stream = model.ear.stream()
        pieces = [stream.push(piece) for piece in samples.split(PIECE)]
        streamed = torch.cat([*pieces, stream.flush()])
        offline = model.ear.hear(samples)
        assert streamed.shape == offline.shape
        cosines.append(F.cosine_similarity(streamed, offline))
        answers["streamed"].append(transcribe(streamed))
        answers["offline"].append(transcribe(offline))
    cosine = torch.cat(cosines)
    texts = [clip.text for clip in clips]
    rates = {f"WER {k}, %": 100 * word_error_rate(texts, v) for k, v in answers.items()}
    same = sum(a == b for a, b in zip(answers["streamed"], answers["offline"], strict=True))
    figures = {
        "clips": len(clips),
        "audio tokens": len(cosine),
        "least cosine": float(cosine.min()),
        "mean cosine": float(cosine.mean()),
        **rates,
        "identical answers": same,
    }
    show("Streamed against offline", [figures])
    keep(options, figures)


if __name__ == "__main__":
    main()
