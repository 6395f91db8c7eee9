"""Reads SQL of any dialect into tokens, and masks its literals in place. `sql.py` says what the tokens mean."""

from __future__ import annotations

import re

from brakit import redact

_END_OF_STRING = (
    r"(?=\s*(?:[,);|=\]]|::|--|/\*|\Z)|\s+(?i:AND|OR|AS|THEN|ELSE|END|WHEN|FROM|WHERE|ORDER|GROUP|LIMIT|RETURNING|ON|IN|IS|LIKE|NOT"
    r"|BETWEEN|UNION|COLLATE|ESCAPE|ASC|DESC)\b)"
)
"""What follows a quote that ends a string although a backslash stands before it, as in `LIKE ? ESCAPE '\\'`."""
TOKENS = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<comment>--[^\n]*|\#[ \t][^\n]*|/\*[^*]*(?:\*(?!/)[^*]*)*(?:\*/|\Z))"
    rf"|(?P<string>(?:[eEnNbBxX]|[uU]&)?'[^'\\]*(?:(?:''|\\'(?!{_END_OF_STRING})|\\(?='{_END_OF_STRING})|\\[^']|\\\Z)[^'\\]*)*(?:'|\Z))"
    r"|(?P<dollars>\$(?P<tag>[^\W\d]\w*|)\$(?s:.*?)(?:\$(?P=tag)\$|\Z))"
    r"|(?P<double>\"[^\"\\]*(?:(?:\"\"|\\(?s:.)|\\\Z)[^\"\\]*)*(?:\"|\Z))"
    r"|(?P<quoted>`[^`]*(?:``[^`]*)*(?:`|\Z)|(?<![\w\])\"`?])\[[^\W\d][^\]\[\n]{0,127}\])"
    r"|(?P<placeholder>\?\d*|\$\w+|%\([^()\n]{0,128}\)[sdbt]|%[sbt](?!\w)|(?<![:\w?]):\w+|(?<!@)@(?!@)\w+)"
    r"|(?P<number>0[xX][0-9a-fA-F]+\w*|(?:\d[\d_]*(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?\w*)"
    r"|(?P<word>[^\W\d][\w$]*|\#{1,2}[^\W\d]\w*|@@[\w.]+)"
    r"|(?P<sign>::|:=|<=>|<=|>=|<>|!=|->>|->|\#>>|\#>|@>|<@|\|\||&&|!~\*|!~|~\*|(?s:.))",
)

KEYWORDS = frozenset(
    (
        *(
            "ALL",
            "ALTER",
            "ANALYZE",
            "AND",
            "ANY",
            "ARRAY",
            "AS",
            "ASC",
            "BEGIN",
            "BETWEEN",
            "BY",
            "CALL",
            "CASCADE",
            "CASE",
            "CAST",
        ),
        *(
            "CHECK",
            "COLLATE",
            "COMMIT",
            "CONFLICT",
            "CONSTRAINT",
            "CREATE",
            "CROSS",
            "DEFAULT",
            "DELETE",
            "DESC",
            "DISTINCT",
            "DO",
        ),
        *("DROP", "ELSE", "END", "ESCAPE", "EXCEPT", "EXEC", "EXECUTE", "EXISTS", "EXPLAIN", "FALSE", "FETCH", "FOR", "FOREIGN"),
        *("FROM", "FULL", "GRANT", "GROUP", "HAVING", "IF", "IGNORE", "ILIKE", "IN", "INDEX", "INNER", "INSERT", "INTERSECT"),
        *("INTERVAL", "INTO", "IS", "JOIN", "LATERAL", "LEFT", "LIKE", "LIMIT", "LOCKED", "MATCHED", "MATERIALIZED", "MERGE"),
        *("NATURAL", "NOT", "NOTHING", "NOWAIT", "NULL", "NULLS", "OFFSET", "ON", "ONLY", "OR", "ORDER", "OUTER", "OVER"),
        *("PARTITION", "PRAGMA", "PRIMARY", "RECURSIVE", "REFERENCES", "RELEASE", "RENAME", "REPLACE", "RETURNING", "REVOKE"),
        *("RIGHT", "ROLLBACK", "SAVEPOINT", "SELECT", "SET", "SHOW", "SKIP", "TABLE", "THEN", "TO", "TOP", "TRUE", "TRUNCATE"),
        *("UNION", "UNIQUE", "UPDATE", "USING", "VACUUM", "VALUES", "WHEN", "WHERE", "WITH"),
    )
)
LIMITS = frozenset(("LIMIT", "OFFSET", "FETCH", "FIRST", "NEXT", "TOP"))
_OPERATORS = frozenset(("=", "<", ">", "<=", ">=", "<>", "!=", "<=>", "LIKE", "ILIKE"))
_PLAIN_NAME = re.compile(r'"[^\W\d][\w$ .#-]*"')
_BEFORE_NAMES = frozenset(("FROM", "JOIN", "INTO", "UPDATE", "TABLE", "SELECT", "."))


class Token:
    """A significant token. `kind` is word, quoted, value (literal or placeholder, text `?`) or sign; keywords are in upper case."""

    __slots__ = ("kind", "text")

    def __init__(self, kind: str, text: str) -> None:
        self.kind = kind
        self.text = text


def read(sql: str) -> tuple[list[Token], str, list[str]]:
    """The significant tokens, the text with its literals masked, and the literals as they stand in it."""
    found = [(match.lastgroup or "", match[0]) for match in TOKENS.finditer(sql)]
    quotes = _quotes(found) if '"' in sql else ""
    tokens: list[Token] = []
    out: list[str] = []
    literals: list[str] = []
    last = ""
    listing = False
    for kind, text in found:
        masked = text
        if kind == "space":
            out.append(text)
            continue
        if kind == "comment":
            out.append(_comment(text))
            continue
        if kind == "double":
            is_value = quotes == "text" or (quotes == "unknown" and (last in _OPERATORS or (listing and last in ("(", ","))))
            kind = "string" if is_value or not _PLAIN_NAME.fullmatch(text) else "quoted"
        if kind in ("string", "dollars", "number"):
            literals.append(text)
        if kind in ("string", "dollars"):
            mark = '"' if text[0] == '"' else "'"
            masked = mark + redact.MASK + mark if len(text) > 2 else mark + mark
            if out and out[-1][-1:] == mark:
                masked = " " + masked  # side by side they would read as one string with a quote in it
            kind, text = "value", "?"
        elif kind == "number":
            masked = text if last in LIMITS and len(text) <= 6 else "?"
            kind, text = "value", "?"
        elif kind == "placeholder":
            kind, text = "value", "?"
        elif kind == "word":
            upper = text.upper()
            text = upper if upper in KEYWORDS else text
        out.append(masked)
        tokens.append(Token(kind, text))
        last = text.upper()
        listing = last in ("VALUES", "IN") or (listing and last in ("(", ",", ")", "?"))
    return tokens, "".join(out), literals


def _quotes(found: list[tuple[str, str]]) -> str:
    """What double quotes stand around in this statement: `text`, `names`, or `unknown`."""
    significant = [item for item in found if item[0] not in ("space", "comment")]
    if any(kind == "quoted" and text[0] == "`" for kind, text in significant):
        return "text"
    for at, (kind, text) in enumerate(significant):
        if kind == "double" and _PLAIN_NAME.fullmatch(text):
            before = significant[at - 1][1].upper() if at else ""
            if before in _BEFORE_NAMES or significant[at + 1 : at + 2] == [("sign", ".")]:
                return "names"
    return "unknown"


def _comment(text: str) -> str:
    if not text.startswith("/*"):
        return redact.text(text)
    inner = text[2:-2] if text.endswith("*/") and len(text) >= 4 else text[2:]
    return "/*" + redact.text(inner).replace("*/", "* /") + "*/"
