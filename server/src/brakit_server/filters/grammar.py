"""Reading a filter: the grammar, its bounds, and what is said where it does not hold."""

from __future__ import annotations

import re
from typing import Any, cast

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken
from lark.exceptions import VisitError

from brakit_server.filters.fields import field_of, suggestion
from brakit_server.filters.tree import TEXT, And, Compare, FilterError, Node, Not, Operator, Or, Value, comparisons
from brakit_server.filters.values import test_of

MAX_LENGTH = 2_000
"""Characters of a filter."""

MAX_DEPTH = 32
"""Levels of parentheses and negations."""

MAX_TERMS = 100
"""Values that fields are compared with."""

MAX_PATTERNS = 10
"""Of those, regular expressions."""

GRAMMAR = r"""
start: either?
either: both (_OR both)*
both: one (_AND? one)*
?one: (_NOT | _MINUS) one -> negation
    | "(" either ")"
    | FIELD OPERATOR (VALUE | QUOTED) -> comparison
    | FIELD OPERATOR "(" (VALUE | QUOTED) (_OR (VALUE | QUOTED))* ")" -> comparison
    | FIELD TILDE (PATTERN | BARE | QUOTED) -> comparison
    | FIELD TILDE "(" (PATTERN | BARE | QUOTED) (_OR (PATTERN | BARE | QUOTED))* ")" -> comparison
    | (WORD | QUOTED) -> free

_AND.3: /AND(?=[\s()"]|$)/
_OR.3: /OR(?=[\s()"]|$)/
_NOT.3: /NOT(?=[\s()"]|$)/
FIELD.2: /[A-Za-z][\w-]*(?:\.(?:[\w$@\-]+|"(?:[^"\\]|\\[\s\S])*"))*(?=\s*(?::|!?=|!?~|[<>]=?))/
OPERATOR: /:|!=|=|>=|<=|>|</
TILDE: /!?~/
_MINUS: /-(?=\S)/
WORD: /(?!(?:AND|OR|NOT)(?:[\s()"]|$))(?:-(?=\s|$)|[^\s()"\-:=<>~!][^\s()"]*)/
VALUE: /(?!(?:AND|OR|NOT)(?:[\s()"]|$))[^\s()"]+/
BARE: /(?!(?:AND|OR|NOT)(?:[\s()"]|$))[^\s()"\/][^\s()"]*/
PATTERN: /\/(?:[^\/\\]|\\[\s\S])*\/i?/
QUOTED: /"(?:[^"\\]|\\[\s\S])*"/
%ignore /\s+/
"""

_SAID = {
    "FIELD": "a field",
    "WORD": "a word",
    "QUOTED": "a text in quotes",
    "OPERATOR": ": = != > >= < <=",
    "TILDE": "~ !~",
    "VALUE": "a value",
    "BARE": "a pattern",
    "PATTERN": "/a pattern/",
    "LPAR": "(",
    "RPAR": ")",
    "_AND": "AND",
    "_OR": "OR",
    "_NOT": "NOT",
    "_MINUS": "-",
    "$END": "the end",
}
"""Terminal → what an error calls it, in the order in which it names them."""

_WORDS = re.compile(r"[^\s()\"]{1,30}|[\s\S]")
_UNESCAPED = re.compile(r"\\([\s\S])")


class _Built:
    """A node and how deep it is: trees are built from below, so that no depth of the text is a depth of calls."""

    def __init__(self, node: Node, depth: int) -> None:
        self.node = node
        self.depth = depth


class _Build(Transformer[Token, Any]):
    """Called by the parser for each rule as it is met."""

    def start(self, children: list[_Built]) -> Node | None:
        return children[0].node if children else None

    def either(self, children: list[_Built]) -> _Built:
        return self._joined(Or, children)

    def both(self, children: list[_Built]) -> _Built:
        return self._joined(And, children)

    def _joined(self, kind: type[And] | type[Or], children: list[_Built]) -> _Built:
        if len(children) == 1:
            return children[0]
        nodes: list[Node] = []
        for child in children:
            # `a (b c)` is `a b c`.
            nodes += child.node.parts if isinstance(child.node, kind) else [child.node]
        return _Built(kind(tuple(nodes)), _deeper(children))

    def negation(self, children: list[_Built]) -> _Built:
        return _Built(Not(children[0].node), _deeper(children))

    def free(self, children: list[Token]) -> _Built:
        [token] = children
        return _Built(Compare(TEXT, ":", (_value(token),), column=_column(token)), 1)

    def comparison(self, children: list[Token]) -> _Built:
        name, operator, *rest = children
        found = field_of(name)
        if found is None:
            near = suggestion(name)
            said = f"there is no field {str(name.partition('.')[0])!r}" + (f", did you mean {near!r}?" if near else "")
            hint = "to search for the text, put quotes around it"
            raise FilterError(f"{said}; {hint}", _column(name), (near,) if near else ("a field",))
        field, key = found
        values = tuple(_pattern(token) for token in rest) if operator.endswith("~") else tuple(_value(token) for token in rest)
        plain = cast("Operator", operator.removeprefix("!"))
        node = Compare(field.name, plain, values, key, _column(name))
        return _Built(Not(node), 2) if operator.startswith("!") else _Built(node, 1)


def _deeper(children: list[_Built]) -> int:
    depth = 1 + max(child.depth for child in children)
    if depth > MAX_DEPTH:
        raise FilterError(f"more than {MAX_DEPTH} levels of parentheses and negations", 1)
    return depth


def _column(token: Token) -> int:
    return 1 + (token.start_pos or 0)


def _value(token: Token) -> Value:
    if token.type == "QUOTED":
        text = _UNESCAPED.sub(r"\1", token[1:-1])
        return Value(text, "*" in text, _column(token))
    return Value(str(token), False, _column(token))


def _pattern(token: Token) -> Value:
    if token.type == "QUOTED":
        text = _UNESCAPED.sub(r"\1", token[1:-1])
    elif token.type == "PATTERN":
        text = token[1:].rpartition("/")[0]
        text = "(?i)" + text if token.endswith("i") else text
    else:
        text = str(token)
    # The slash needs its backslash between slashes only.
    return Value(_UNESCAPED.sub(lambda found: "/" if found[1] == "/" else found[0], text), False, _column(token))


_PARSER = Lark(GRAMMAR, parser="lalr", lexer="contextual", transformer=_Build(), maybe_placeholders=False)


def parse(text: str) -> Node | None:
    """The filter that `text` says; None where it says nothing. Raises `FilterError`, and nothing else, whatever the text."""
    if len(text) > MAX_LENGTH:
        raise FilterError(f"longer than {MAX_LENGTH} characters", MAX_LENGTH + 1)
    try:
        found = cast("Node | None", cast("object", _PARSER.parse(text)))
    except VisitError as error:
        raise error.orig_exc from None
    except UnexpectedInput as error:
        raise _refused(text, error) from None
    if found is None:
        return None
    terms = patterns = 0
    for comparison in comparisons(found):
        terms += len(comparison.values)
        patterns += len(comparison.values) if comparison.operator == "~" else 0
        if terms > MAX_TERMS or patterns > MAX_PATTERNS:
            most = f"{MAX_TERMS} comparisons" if terms > MAX_TERMS else f"{MAX_PATTERNS} regular expressions"
            raise FilterError(f"more than {most}", comparison.column)
        test_of(comparison, 0.0)
    return found


def _refused(text: str, error: UnexpectedInput) -> FilterError:
    if isinstance(error, UnexpectedToken):
        names, at = set(error.expected), error.token.start_pos
        column = len(text) + 1 if error.token.type == "$END" or at is None else at + 1
    else:
        names = set(error.allowed) if isinstance(error, UnexpectedCharacters) else set()
        column = len(text) + 1 if isinstance(error, UnexpectedEOF) else (error.pos_in_stream or 0) + 1
    expected = tuple(said for name, said in _SAID.items() if name in names)
    rest = text[column - 1 :]
    if not rest:
        said = "the filter ends too early"
    elif rest[0] == '"':
        return FilterError("the quote is not closed", column, ('"',))
    elif rest[0] == "/" and "PATTERN" in names:
        return FilterError("the pattern is not closed", column, ("/",))
    else:
        said = f"{_WORDS.match(rest)[0]!r} cannot stand here"  # type: ignore[index]
    return FilterError(f"{said}, expected {', '.join(expected)}" if expected else said, column, expected)
