"""Errors in the files and settings that a user gives us.

    AssistantError
    ├── ConfigError         a key of config.yaml: named, with what was expected
    ├── ComponentError      a part of a preset could not be found or is not what it should be
    ├── CheckpointError     weights that do not fit the model: missing and misshapen keys listed
    ├── AudioError          a recording that cannot be heard
    ├── ContextFullError    more was heard than the LLM's context holds
    └── ToolError           a tool, a call of one or a choice: the field is named

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
    """The LLM's context holds no more positions."""


class ToolError(AssistantError):
    """A tool, a call of one or a choice of tools is not what it should be."""

    def __init__(self, field: str, why: str) -> None:
        """Args:
        field: that is wrong.
        why: what is wrong with it.
        """
        super().__init__(f"{field}: {why}")
        self.field = field
        """That is wrong, such as `parameters.type`."""
