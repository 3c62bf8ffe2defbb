"""Errors in the files and settings that a user gives us.

    AssistantError
    ├── ConfigError         a key of config.yaml is wrong: its name, and what was expected
    ├── ComponentError      a part of a preset is missing, or is not the expected one
    ├── CheckpointError     weights do not fit the model: the keys that are missing or misshapen
    ├── AudioError          a recording cannot be read as audio
    └── ContextFullError    a prompt is longer than the LLM's context

Any other exception is a bug, and is not caught.
"""


class AssistantError(Exception):
    """Base class of errors whose message is meant for the user."""


class ConfigError(AssistantError):
    """A setting is unknown, of the wrong type, or out of range."""


class ComponentError(AssistantError):
    """A component of the model is not available; the message says what to do."""


class CheckpointError(AssistantError):
    """Weights do not fit the model; the message lists the keys."""


class AudioError(AssistantError):
    """A recording cannot be read as audio; the message says why."""


class ContextFullError(AssistantError):
    """The LLM's context has no room for the prompt."""
