"""Names by content: what is made is called after everything that it is made from."""

import hashlib
import json

VERSION = 1
"""Raised when a change of code changes what is made: everything is made anew then."""


def digest(*parts: object) -> str:
    """Twelve hexadecimal digits that stand for `parts`, which are what JSON can hold."""
    content = json.dumps([VERSION, *parts], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:12]
