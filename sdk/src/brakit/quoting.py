"""Masks the values that databases, their drivers and validators quote in their messages: bound parameters, literals, rows, inputs.

Parameters are not sent with a query; the text of the exception that it ends with must not bring them instead. Names are those of
`sensitive.py`. Every function takes time linear in the length of the text.
"""

from __future__ import annotations

import re

from brakit.sensitive import MASK, strength

_SIGNS = (
    *(
        "[SQL: ",
        "[parameters: ",
        "s] ",
        "s ago] ",
        "[raw sql] ",
        "; args=",
        "row contains (",
        "Key (",
        "LINE ",
        " near '",
        "invalid input",
    ),
    *("Duplicate entry '", "ncorrect ", "beginning with: ", "input_value=", "zed token: "),
)
_LITERAL = re.compile(r"'(?:[^'\\]|''|\\.)*(?:'|\Z)", re.DOTALL)
_STATEMENT_ENDS = re.compile(r"\n\[parameters: |\n\(Background on |\Z")
_PARAMETERS = re.compile(
    r"(\[parameters: |\[(?:raw sql|no key [\d.]{1,12}s|generated in [\d.]{1,12}s|cached since [\d.]{1,12}s ago|caching disabled"
    r"[^\]\n]{0,60}|dialect [^\]\n]{1,80})(?: \(insertmanyvalues\)[^\]\n]{0,80})?\] (?=[(\[{]))([^\n]+)"
)
"""As SQLAlchemy writes them: in its exceptions, and in its log."""
_DJANGO = re.compile(r"(?:\A|(?<=\n))(\([\d.]{1,12}\) )([^;\n]{1,60000})(; args=)([^\n]+)")
"""As Django's `django.db.backends` logs a statement."""
_ROW = re.compile(r"(Failing row contains \()([^\n]+)")
_KEY = re.compile(r"(\bKey \(([^()\n]{1,256})\)=\()([^\n]+)")
_EXCERPT = re.compile(r"((?:\A|(?<=\n))LINE \d{1,9}: )([^\n]+)")
_NEAR = "right syntax to use near '"
_BAD_INPUT = re.compile(
    r"(invalid input (?:syntax|value) for [^:\n]{1,80}: |Incorrect [\w ]{1,30} value: |Truncated incorrect [\w ]{1,30} value: "
    r"|unrecognized token: )([\"'])([^\n]*)"
)
_BAD_ARGUMENT = re.compile(r"(invalid input for query argument \$\d{1,5}: |with args beginning with: )([^\n]+)")
_ENTRY = re.compile(r"(Duplicate entry ')([^\n]+)")
_INPUT = re.compile(r"((?:\A|(?<=\n))([\w.\-\[\]]{1,128})\n[ \t]{1,8}[^\n]{0,400}?\[type=\w{1,64}, input_value=)([^\n]+)")
"""As pydantic writes it."""


def masked(value: str) -> str:
    """The text without the values that others quote in it."""
    if "(" not in value and "'" not in value and "[" not in value and ': "' not in value:
        return value
    if not any(map(value.__contains__, _SIGNS)):
        return value
    if "[SQL: " in value:
        value = _statements(value)
    value = _PARAMETERS.sub(_parameters, value)
    value = _DJANGO.sub(_django, value)
    value = _ROW.sub(_row, value)
    value = _KEY.sub(_key, value)
    value = _EXCERPT.sub(_excerpt, value)
    if _NEAR in value:
        value = _near(value)
    value = _BAD_INPUT.sub(_bad_input, value)
    value = _BAD_ARGUMENT.sub(_bad_argument, value)
    value = _ENTRY.sub(_entry, value)
    return _INPUT.sub(_input, value)


def literals(statement: str) -> str:
    """A statement of SQL with its strings masked."""
    return _LITERAL.sub(lambda found: f"'{MASK}'" if len(found[0]) > 2 else found[0], statement)


def _statements(value: str) -> str:
    out: list[str] = []
    done = 0
    while (start := value.find("[SQL: ", done)) >= 0:
        end = _STATEMENT_ENDS.search(value, start).start()  # type: ignore[union-attr]
        out += (value[done:start], literals(value[start:end]))
        done = end
    return "".join(out) + value[done:]


def _hidden(value: str, end: str) -> str:
    """The mask, and what stands from the last `end` on."""
    at = value.rfind(end)
    return MASK + (value[at:] if at >= 0 else "")


def _parameters(found: re.Match[str]) -> str:
    values = found[2]
    if values.startswith(("()", "[]", "{}")) or values.strip("()[]{}, ") == MASK:
        return found[0]
    return found[1] + (_hidden(values, "]") if found[1] == "[parameters: " else MASK)


def _django(found: re.Match[str]) -> str:
    lead, statement, args, values = found.groups()
    behind = values.rfind("; alias=")
    shown = values if values.startswith(("None", MASK, "()")) else MASK + (values[behind:] if behind >= 0 else "")
    return lead + literals(statement) + args + shown


def _row(found: re.Match[str]) -> str:
    return found[1] + _hidden(found[2], ")")


def _key(found: re.Match[str]) -> str:
    return found[1] + _hidden(found[3], ")") if any(strength(name) for name in found[2].split(",")) else found[0]


def _excerpt(found: re.Match[str]) -> str:
    lead, line = found.groups()
    if line.startswith("...") and line.count("'") % 2:
        # The line was cut inside of a literal.
        line = f"...{MASK}" + line[line.index("'") :] if not line.startswith(f"...{MASK}") else line
        at = line.index("'") + 1
        return lead + line[:at] + literals(line[at:])
    return lead + literals(line)


def _near(value: str) -> str:
    """As MySQL says it: the rest of the statement, up to the line's number."""
    out: list[str] = []
    done = 0
    while (found := value.find(_NEAR, done)) >= 0:
        start = found + len(_NEAR)
        end = value.find("' at line ", start)
        end = len(value) if end < 0 else end
        out += (value[done:start], "" if end == start else MASK + "\n" * value.count("\n", start, end))
        done = end
    return "".join(out) + value[done:]


def _bad_input(found: re.Match[str]) -> str:
    lead, quote, value = found.groups()
    return lead + quote + _hidden(value, quote)


def _bad_argument(found: re.Match[str]) -> str:
    return found[1] + _hidden(found[2], " (")


def _entry(found: re.Match[str]) -> str:
    _, sign, key = found[2].rpartition("' for key ")
    return found[1] + MASK + sign + key if strength(key.strip("' ).\"").rpartition(".")[2]) or not sign else found[0]


def _input(found: re.Match[str]) -> str:
    lead, name, value = found.groups()
    cut = value.find("...")
    if strength(name):
        return lead + _hidden(value, ", input_type=")
    # Cut in the middle: the name of what follows may be gone.
    return found[0] if cut < 0 or value.startswith("...") else lead + value[:cut] + "..." + _hidden(value, ", input_type=")
