"""The filter language: `parse` reads a filter, `Matcher` decides whether a record fits it. docs/filters.md says how to write one."""

from brakit_server.filters.grammar import MAX_LENGTH, parse
from brakit_server.filters.matching import Matcher, ProcessOf
from brakit_server.filters.tree import FilterError, Node, text_of

__all__ = ["MAX_LENGTH", "FilterError", "Matcher", "Node", "ProcessOf", "parse", "text_of"]
