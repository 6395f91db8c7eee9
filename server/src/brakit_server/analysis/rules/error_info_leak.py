"""What errors tell the client about the inside."""

from __future__ import annotations

import re
from collections.abc import Iterable

from brakit_server.analysis.finding import Finding
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.rules.error import place
from brakit_server.analysis.secrecy import kind_of, masked_in
from brakit_server.analysis.timeline import Timeline
from brakit_server.answers import Severity

_ADDRESS = re.compile(
    r"\b(?:postgres(?:ql)?|mysql|mariadb|mongodb|rediss?|amqps?|mssql|oracle|clickhouse|cockroachdb|snowflake|db2|memcached|kafka|nats)"
    r"(?:\+\w{1,20})?://[^\s\"'<>\\]{2}"
)
_SQL = re.compile(
    r"\bSELECT\s[^;]{1,300}?\sFROM\s+[\w\"`\[.]|\bINSERT\s+INTO\s+[\w\"`\[.]+\s*\(|\bUPDATE\s+[\w\"`\[\].]{1,100}\s+SET\s+[\w\"`\[.]+\s*="
    r"|\bDELETE\s+FROM\s+[\w\"`\[\].]{1,100}\s+WHERE\s|\[SQL: "
)
_DATABASE = re.compile(
    r"violates (?:unique|foreign key|not-null|check) constraint|UNIQUE constraint failed: \w|no such (?:table|column): \w"
    r"|relation (?:\\?\"|&quot;|&#34;)[\w.]+(?:\\?\"|&quot;|&#34;) does not exist|error in your SQL syntax"
    r"|\bORA-\d{5}\b|Duplicate entry .{1,100} for key"
    r"|near (?:\\?\"|&quot;|&#34;).{1,40}: syntax error"
    r"|\b(?:psycopg2?|sqlalchemy|asyncpg|pymysql|sqlite3|MySQLdb|pymongo)\.[\w.]{3,60}(?:Error|Violation|Exception)\b"
)
_FILE = re.compile(r"(?<![\w.:/])(?:/[\w.@+-]{1,60}){2,12}/[\w.+-]{1,60}\.py\b")
_TRACE = re.compile(r"line \d{1,7}")
_KINDS: dict[str, tuple[str, Severity]] = {
    "address": ("the address of a database or a queue", "critical"),
    "sql": ("the text of a SQL statement", "critical"),
    "secret": ("a secret", "critical"),
    "database": ("the words of the database", "warning"),
    "exception": ("the text of an exception", "warning"),
    "file": ("the path of a source file", "warning"),
}


class ErrorInfoLeak(Rule):
    """*What it finds.* Answers from 400 on whose body holds the address of a database or queue (`postgresql+asyncpg://`,
    `mongodb+srv://`, `rediss://` …), a SQL statement, what a database or its driver says of itself, a secret that the client
    did not send, or the path of a source file; from 500 on also the text of an exception of this request (`min_text`
    characters or more), whatever it says.

    *Why it matters.* Names of tables, hosts and files are what an attacker begins with.

    *Fix.* Log the exception, and answer with a sentence and an id.

    *What it leaves alone.* English that only reads like SQL ("select an item from the list", "update your set"), what the
    client sent itself and gets back, texts that a 4xx is meant to say, tracebacks and debug pages, which are other rules'.
    """

    title = "Internals in an error response"
    category = "security"

    min_text: int = 15
    """Characters of an exception's text that cannot be there by chance."""

    def check(self, timeline: Timeline) -> Iterable[Finding]:
        request = timeline.request
        if request is None or request.status_code < 400 or not request.response_body:
            return
        text = timeline.response_body.text[:20_000]
        kinds = [
            kind for kind, pattern in (("address", _ADDRESS), ("sql", _SQL), ("database", _DATABASE)) if pattern.search(text)
        ]
        if "sql" not in kinds and self._says_failed_statement(timeline, text):
            kinds.append("sql")
        if "sql" in kinds and "database" in kinds:
            kinds.remove("database")
        if "address" not in kinds and self._has_secret(timeline):
            kinds.append("secret")
        if _FILE.search(text) and not _TRACE.search(text):
            kinds.append("file")
        if not kinds and request.status_code >= 500 and not _TRACE.search(text) and self._says_exception(timeline, text):
            kinds.append("exception")
        site = next((found for error in reversed(timeline.errors) if (found := place(error)[1]) is not None), None)
        for kind in kinds:
            what, severity = _KINDS[kind]
            where = f" It comes from {site.file}:{site.line} in {site.function}." if site else ""
            yield self.finding(
                timeline,
                severity=severity,
                title=f"{what[0].upper()}{what[1:]} in an error response",
                desc=f"{timeline.endpoint} answers {request.status_code} with {what}.{where}",
                hint="Log the exception, and answer with a sentence and an id under which it stands in the log.",
                subject=kind,
                call_site=site,
            )

    @staticmethod
    def _says_failed_statement(timeline: Timeline, text: str) -> bool:
        """Whether the body quotes a statement that failed here, in whatever case it was written."""
        for query in timeline.queries[:200]:
            start = (query.sql or "").strip()[:60].partition("?")[0].partition("'")[0]
            if query.error and len(start) >= 12 and start in text:
                return True
        return False

    @staticmethod
    def _has_secret(timeline: Timeline) -> bool:
        request = timeline.request
        assert request is not None
        sent = {one.name for one in request.masked or () if one.place != "responseBody"}
        return any(
            one.look in ("user info", "hash")
            or (
                one.name not in sent
                and one.length != "short"
                and kind_of(one.name or "") in ("password", "secret", "key", "credential")
            )
            for one in masked_in(request, "responseBody")
        )

    def _says_exception(self, timeline: Timeline, text: str) -> bool:
        messages = [error.message for error in timeline.errors]
        messages += [log.exception.message for log in timeline.logs if log.exception is not None]
        return any(len(message) >= self.min_text and message[:200] in text for message in messages[:50])
