"""How many tokens an LLM is given of a second of speech: audio tokens, words, or both.

    python -m bench.tokens [--presets nano nano-two-ears small] [--clips 40] [--json FILE]

Single questions of `everyday.yaml` in one voice of hibari-tts, without silence around them, and as
words what is really said. "Besides, a turn" are the tokens of a turn that no speech is in: the chat
template's marks, and for an LLM that reads words that no sound was heard.
"""

import tempfile
from pathlib import Path
from typing import Any

from assistant.files.presets import shipped_config
from assistant.model import Salmonn, load
from assistant.prompt.words import in_words
from assistant.rates import SAMPLE_RATE
from bench.common import keep, parser, show
from bench.spoken import VOICE
from lab.evaluation.recorded import recordings
from lab.evaluation.talks import SINGLE, every
from streaming.config_file import load_config


def besides(model: Salmonn) -> int:
    """Tokens of a turn that no speech is in."""
    before, after = model.prompt.turn(model.llm, model.prompt.usual)
    words = model.llm.ids(in_words("none", "")) if model.reads_words else []
    return len(before) + len(words) + len(after)


def main() -> None:
    options = parser(__doc__, clips=40)
    presets = ["nano", "nano-two-ears", "small"]
    options.add_argument("--presets", nargs="+", default=presets, help="whose LLMs")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as made:
        spoken = [*recordings(every(chosen.clips, SINGLE), Path(), Path(made), (VOICE,))]
    seconds = sum(len(one.turns[0]) for one in spoken) / SAMPLE_RATE
    rows: list[dict[str, Any]] = []
    for name in chosen.presets:
        config = load_config(shipped_config(), name).model
        model, aligner = load(config), config.aligner
        audio = aligner.queries * SAMPLE_RATE / model.ear.spans.window
        said = sum(len(model.llm.ids(" ".join(one.talk.turns[0].ask))) for one in spoken)
        reads = model.reads_words or aligner.transcript
        rows.append(
            {"preset": name, "audio tokens/s": 0.0 if model.reads_words else audio,
             "tokens of words/s": said / seconds if reads else 0.0,
             "besides, a turn": besides(model)}
        )  # fmt: skip
    show(f"Tokens of {len(spoken)} questions, {seconds:.0f} s of speech", rows)
    keep(chosen, {"rows": rows, "seconds": seconds})


if __name__ == "__main__":
    main()
