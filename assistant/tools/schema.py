"""JSON schemas as the grammar takes them."""

from collections.abc import Iterator
from typing import Any

AS_WRITTEN = {"item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False}
"""As LLMs were shown JSON in their templates: one blank, no line breaks."""

COMBINED = ("$ref", "allOf", "anyOf", "oneOf", "patternProperties")
"""Keywords by which an object has properties that do not stand in it."""

NOTES = ("title", "description", "default", "examples", "$comment", "x-guidance")
"""Keywords that allow and forbid nothing."""

NAMED = ("properties", "patternProperties", "$defs", "definitions")
"""Keywords under which names stand, and a schema for each."""


def compiled_form(parameters: dict[str, Any]) -> dict[str, Any]:
    """A schema that allows no more than `parameters`, for an LLM to write by.

    Objects that name properties have no others unless the schema says so.
    """
    return {**_closed(parameters), "x-guidance": AS_WRITTEN}


def _closed(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    closed = dict(schema)
    properties = schema.get("properties")
    if isinstance(properties, dict):
        closed["properties"] = {name: _closed(value) for name, value in properties.items()}
    if "items" in schema:
        closed["items"] = _closed(schema["items"])
    combined = any(keyword in schema for keyword in COMBINED)
    if isinstance(properties, dict) and not combined:
        closed.setdefault("additionalProperties", False)
    return closed


def literals(schema: Any) -> Iterator[str]:
    """All texts that stand in a schema, names of properties and keywords included, notes not."""
    if isinstance(schema, str):
        yield schema
    elif isinstance(schema, list):
        for value in schema:
            yield from literals(value)
    elif isinstance(schema, dict):
        for keyword, value in schema.items():
            if keyword in NAMED and isinstance(value, dict):
                yield from value
                yield from literals([*value.values()])
            elif keyword not in NOTES:
                yield keyword
                yield from literals(value)
