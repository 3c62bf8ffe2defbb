"""Whether blocks of several streams are encoded faster together than one after another.

    python -m bench.batching [--runs 15] [--json FILE]

The transformer of nano's speech encoder, most of a block's work, on one block per stream without a
past: the best case, as pasts of different lengths would have to be padded and masked. And whether a
stream's features are the same bits, whoever else is in the batch.
"""

import time
from functools import partial

import torch
from torch import Tensor, nn

from assistant.files.presets import shipped_config
from assistant.numerics.half import fast_half
from assistant.parts.build import build_ear
from bench.common import keep, median_ms, parser, show
from streaming.config_file import load_config

STREAMS = (1, 2, 4, 8)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--runs", type=int, default=15, help="of each figure; the median counts")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    model = load_config(shipped_config(), "nano").model
    ear = build_ear(model)
    layers: list[nn.Module] = list(ear.speech_encoder.encoder.blocks)
    features = model.encoding.block_windows * model.aligner.window_features
    alone = torch.randn(max(STREAMS), features, ear.speech_encoder.own_width)

    def encode(x: Tensor) -> Tensor:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=fast_half()):
            for layer in layers:
                x = layer(x)
        return x

    def seconds(parts: list[Tensor]) -> float:
        begin = time.perf_counter()
        for part in parts:
            encode(part)
        return time.perf_counter() - begin

    rows = []
    for streams in STREAMS:
        apart = [alone[i : i + 1] for i in range(streams)]
        together = [alone[:streams]]
        same = torch.equal(encode(together[0]), torch.cat([encode(part) for part in apart]))
        one_by_one = median_ms(partial(seconds, apart), chosen.runs)
        at_once = median_ms(partial(seconds, together), chosen.runs)
        rows.append({"streams": streams, "one by one, ms": one_by_one, "together, ms": at_once,
                     "gain": one_by_one / at_once, "same bits": same})  # fmt: skip
    show("Blocks of several streams", rows)
    keep(chosen, {"rows": rows})


if __name__ == "__main__":
    main()
