"""From stored encoder features to audio tokens, as the ear does it."""

import torch
from torch import Tensor

from assistant.ear.aligner import Aligner


def audio_tokens(aligner: Aligner, features: list[Tensor]) -> list[Tensor]:
    """Audio tokens of a batch of utterances.

    The LayerNorms before the Q-Former get no gradient: its first products would undo any change of
    theirs, and half of a step's work would be to find it.

    Args:
        aligner: of the model.
        features: per utterance (n, speech width + audio width), the encoders' own output.

    Returns:
        Per utterance (windows * queries, LLM width).
    """
    speech = aligner.ln_speech.normalized_shape[0]
    with torch.no_grad():
        windows = []
        for utterance in features:
            audio = None if aligner.ln_audio is None else utterance[:, speech:]
            windows.append(aligner.windows(aligner.fuse(utterance[:, :speech], audio)))
        joined = torch.cat(windows)
        if torch.is_autocast_enabled("cpu"):  # once, not in each of the products
            joined = joined.to(torch.get_autocast_dtype("cpu"))
    tokens: Tensor = aligner(joined)
    return list(tokens.flatten(0, 1).split([len(w) * aligner.config.queries for w in windows]))
