"""YAML as configuration files need it: plain values, each key once, and bounded work."""

import re
from typing import Any

import yaml

MOST_DEEP = 32
"""Deepest nesting of sections and lists; ours are five deep."""

MOST_NODES = 100_000
"""Most keys and values in a file; those that an alias repeats count each time."""

_LEFT_OUT = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp"}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9_]{0,3999})$")
_FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?$|[-+]?\.(?:inf|nan)$", re.I
)


class ConfigLoader(yaml.SafeLoader):
    """A stricter version of PyYAML's safe loader.

    A key that stands twice in a section is an error, and so is a tag. Numbers are decimal: `21:45`
    is a text and not 1305, `010` is one and not 8; dates are texts. Nesting and aliases are
    bounded, so that no file takes long.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._nodes = 0
        self._sizes: dict[int, int] = {}  # of nodes that are complete, what is in them included

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """See PyYAML.

        Raises:
            yaml.YAMLError: it is nested too deep, too large, contains itself, or has a tag.
        """
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        mark = event.start_mark
        if self.check_event(yaml.AliasEvent):
            node = super().compose_node(parent, index)
            if id(node) not in self._sizes:
                raise yaml.MarkedYAMLError(None, None, "an alias stands inside itself", mark)
            self._nodes += self._sizes[id(node)]
        else:
            if event.tag is not None:
                raise yaml.MarkedYAMLError(None, None, "tags (!) are not used here", mark)
            self._depth += 1
            if self._depth > MOST_DEEP:
                raise yaml.MarkedYAMLError(None, None, f"nested over {MOST_DEEP} deep", mark)
            before = self._nodes
            self._nodes += 1
            node = super().compose_node(parent, index)
            self._sizes[id(node)] = self._nodes - before
            self._depth -= 1
        if self._nodes > MOST_NODES:
            raise yaml.MarkedYAMLError(None, None, f"more than {MOST_NODES:,} values", mark)
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """See PyYAML.

        Raises:
            yaml.YAMLError: a key stands twice in its section.
        """
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        keys = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if (key.tag, key.value) in keys:
                problem = f"the key {key.value!r:.60} stands twice in its section"
                raise yaml.MarkedYAMLError(None, None, problem, key.start_mark)
            keys.add((key.tag, key.value))
        return node


ConfigLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag not in _LEFT_OUT]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
ConfigLoader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))
ConfigLoader.add_implicit_resolver("tag:yaml.org,2002:int", _INTEGER, list("-+0123456789"))


def parse(text: str) -> object:
    """The values of a YAML document.

    Raises:
        ValueError: it is not valid; the message is one line, and names the line of the file if
            known.
    """
    try:
        return yaml.load(text, ConfigLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = "" if mark is None else f"line {mark.line + 1}: "
        raise ValueError(f"{where}{error.problem or error.context}") from error
    except yaml.reader.ReaderError as error:
        raise ValueError(f"character {error.character:#06x}: {error.reason}") from error
    except (yaml.YAMLError, RecursionError, OverflowError) as error:
        raise ValueError(type(error).__name__) from error
