"""WSGI: one call of an app, from outside of all its middleware, until the server has taken the last byte (PEP 3333)."""

from __future__ import annotations

from brakit import errors
from brakit.clocks import clock
from brakit.context import current, enter
from brakit.guard import _dress, run, safe
from brakit.instrumentations._exchange import DASHBOARD, KEY, Exchange, Ids, dashboard, header, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from brakit.client import Client
    from brakit.guard import Failures

    Environ = dict[str, Any]
    App = Callable[[Any, Environ, Any], Iterable[bytes]]
    Known = Callable[[Exchange, Any, Environ], None]

MAX_NAMES = 1000
_names: dict[str, str] = {}
"""The header's name for each key of an environ, empty for what is no header: a few dozen, the same for every request."""


class WsgiExchange(Exchange):
    """An exchange whose source is an environ."""

    def origin(self) -> dict[str, object]:
        environ = self.source
        return {
            "client": environ.get("REMOTE_ADDR") or None,
            "scheme": environ.get("wsgi.url_scheme"),
            "http_version": environ.get("SERVER_PROTOCOL", "").partition("/")[2] or None,
        }


class Outermost:
    """A WSGI app that hands everything to the one inside it; all else of it is that one's."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        answer: Iterable[bytes] = self.app(environ, start_response)
        return answer

    def __getattr__(self, name: str) -> Any:
        if name == "app":
            # A copy in the making has none yet.
            raise AttributeError(name)
        return getattr(self.app, name)


def outermost(client: Client, app: Any) -> Outermost:
    """`app` with us around it."""
    made: Outermost = type("Outermost", (Outermost,), {"__call__": around(client, Outermost.__call__, None)})(app)
    return made


def around(client: Client, original: App, framework: str | None, known: Known | None = None) -> App:
    """`original`, a method `(self, environ, start_response)`, recording each request once. `framework` names it, also in errors.

    `known` adds what the framework knows to the exchange.
    """
    mechanism = framework or "wsgi"
    looks = Looks(client.failures)
    tell = safe(client.failures, "wsgi.known", known) if known is not None else None

    def call(self: Any, environ: Environ, start_response: Any) -> Iterable[bytes]:
        if not client.open:
            return original(self, environ, start_response)
        before = current()
        outer = looks.inside(environ)
        exchange = looks.begin(client, environ) if outer is None else outer
        if exchange is None:
            # A failure of ours, maybe behind the point where the request has become the owner of what this thread does.
            enter(before)
            return original(self, environ, start_response)
        if type(exchange) is str:
            return redirect(exchange, start_response)
        exchange.framework = exchange.framework or framework
        # The innermost prefix counts: an app may be mounted in another.
        exchange.prefix = environ.get("SCRIPT_NAME", "")
        if tell is not None:
            tell(exchange, self, environ)
        if outer is None:
            start_response = starting(exchange, start_response, mechanism, looks)
        try:
            result = original(self, environ, start_response)
        except BaseException as error:
            looks.caught(exchange, error, mechanism)
            if outer is None:
                looks.end(exchange)
            raise
        finally:
            if outer is None:
                enter(exchange.before)
        answer = looks.answered(exchange, result, environ, mechanism, looks) if outer is None else None
        return result if answer is None else answer

    return _dress(call, original)


class Looks:
    """What is written down of the steps of a call; none of it raises."""

    def __init__(self, failures: Failures) -> None:
        self.inside = safe(failures, "wsgi.inside", inside)
        self.begin = safe(failures, "wsgi.begin", begin)
        self.start = safe(failures, "wsgi.start", note_start)
        self.error = safe(failures, "wsgi.error", note_error)
        self.answered = safe(failures, "wsgi.answer", answered)
        self.sending = safe(failures, "wsgi.sending", sent)
        self.complete = safe(failures, "wsgi.finish", Exchange.complete)
        self.caught = safe(failures, "wsgi.caught", fail)
        self.closing = safe(failures, "wsgi.closing", closing)
        self.dropped = safe(failures, "wsgi.dropped", dropped)
        self.end = safe(failures, "wsgi.end", Exchange.end)


def fail(exchange: Exchange, error: BaseException, mechanism: str) -> None:
    """The exchange may be one of another kind, that this app is inside of."""
    exchange.caught(error, mechanism)


def inside(environ: Environ) -> Exchange | None:
    """The exchange that this call belongs to: of a WSGI app around this one, or of an ASGI app that this one is mounted in."""
    outer = environ.get(KEY)
    if outer is None:
        owner = current()
        root = owner.root if owner is not None else None
        found = root.exchange if root is not None else None
        # An app that calls another one by hand, in the middle of a request, makes a request of its own.
        if found is not None and (found.method, found.path) == (environ["REQUEST_METHOD"], path_of(environ)):
            outer = found
    return outer if outer is not None and not outer.finished else None


def begin(client: Client, environ: Environ) -> WsgiExchange | str:
    """The exchange of a new request, which is the current owner from then on; an address where the request belongs to the dashboard."""
    path, method, query = path_of(environ), environ["REQUEST_METHOD"], environ.get("QUERY_STRING")
    url = f"{quoted(path)}?{query}" if query else quoted(path)
    headers = headers_of(environ)
    if path.startswith(DASHBOARD):
        location = dashboard(
            client, method, environ.get("REMOTE_ADDR"), environ.get("HTTP_HOST", ""), environ.get("SERVER_PORT"), url
        )
        if location is not None:
            return location
    get = environ.get
    ids = Ids(get("HTTP_X_BRAKIT_REQUEST_ID"), get("HTTP_TRACEPARENT"), get("HTTP_X_BRAKIT_FETCH_ID"))
    exchange = WsgiExchange(client, environ, method, path, url, headers, ids)
    environ[KEY] = exchange
    if environ.get("wsgi.input") is not None:
        environ["wsgi.input"] = Input(exchange, environ["wsgi.input"])
    return exchange


def path_of(environ: Environ) -> str:
    """The whole path, decoded: WSGI has UTF-8 bytes in it, one character each."""
    path: str = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    if not path.isascii():
        path = path.encode("latin-1", "replace").decode("utf-8", "replace")
    return path or "/"


def headers_of(environ: Environ) -> list[tuple[str, str]]:
    """The request's headers, names lower case with dashes."""
    if not _names.keys() >= environ.keys():
        learn(environ)
    name_of = _names.get
    return [(name, value) for key, value in environ.items() if value and (name := name_of(key))]


def learn(environ: Environ) -> None:
    """Names for the keys that have not been seen before."""
    if len(_names) > MAX_NAMES:
        _names.clear()
    for key in environ:
        is_header = key.startswith("HTTP_") or key in ("CONTENT_TYPE", "CONTENT_LENGTH")
        _names[key] = key.removeprefix("HTTP_").replace("_", "-").lower() if is_header else ""


def starting(exchange: Exchange, start_response: Any, mechanism: str, looks: Looks) -> Any:
    """`start_response`, with a look at what goes."""

    def started(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        looks.start(exchange, status, headers)
        if exc_info is not None:
            # An app that makes a page of its failure says so here.
            looks.error(exchange, exc_info, mechanism)
        write = start_response(status, headers) if exc_info is None else start_response(status, headers, exc_info)

        def written(data: bytes) -> Any:
            looks.sending(exchange, data)
            return write(data)

        return written

    return started


def note_start(exchange: Exchange, status: str, headers: list[tuple[str, str]]) -> None:
    exchange.start(int(status[:3]), list(headers))


def note_error(exchange: Exchange, exc_info: Any, mechanism: str) -> None:
    error = exc_info[1]
    if isinstance(error, Exception):
        errors.capture(exchange.client, error, mechanism)


def answered(exchange: Exchange, result: Any, environ: Environ, mechanism: str, looks: Looks) -> Any:
    """What the server gets: the app's own list or file, whose size is known already, or its iterable in ours."""
    wrapper = environ.get("wsgi.file_wrapper")
    if type(result) is list or type(result) is tuple:
        for chunk in result:
            exchange.sending(chunk)
    elif isinstance(wrapper, type) and isinstance(result, wrapper):
        # The server may hand it to the operating system.
        exchange.measure()
    else:
        return Answer(exchange, result, mechanism, looks)
    exchange.end()
    return result


class Answer:
    """The iterable of an app. Each of its steps belongs to the request, in whatever thread the server takes it."""

    __slots__ = ("exchange", "iterator", "looks", "mechanism", "source")

    def __init__(self, exchange: Exchange, source: Any, mechanism: str, looks: Looks) -> None:
        self.exchange = exchange
        self.source = source
        self.mechanism = mechanism
        self.looks = looks
        self.iterator: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __getattr__(self, name: str) -> Any:
        # Django's answers are objects of the app's, and so are others': their status, their headers. What a type has is our own.
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.source, name)

    def __bytes__(self) -> bytes:
        return bytes(self.source)

    def __next__(self) -> bytes:
        exchange = self.exchange
        looks = self.looks
        before = enter(exchange.owner)
        if exchange.finished and not exchange.continued:
            exchange.continued = clock()
        try:
            if self.iterator is None:
                self.iterator = iter(self.source)
            chunk = next(self.iterator)
        except StopIteration:
            looks.complete(exchange)
            raise
        except BaseException as error:
            looks.caught(exchange, error, self.mechanism)
            looks.complete(exchange)
            raise
        finally:
            enter(before)
        looks.sending(exchange, chunk)
        return chunk

    def __del__(self) -> None:
        self.looks.dropped(self.exchange)

    def close(self) -> None:
        exchange = self.exchange
        looks = self.looks
        before = enter(exchange.owner)
        looks.closing(exchange)
        try:
            close = getattr(self.source, "close", None)
            if close is not None:
                close()
        except BaseException as error:
            looks.caught(exchange, error, self.mechanism)
            raise
        finally:
            looks.end(exchange)
            enter(before)


def sent(exchange: Exchange, chunk: bytes) -> None:
    """A step of the answer. With the last byte that was announced it is complete: who does not ask for more need not close it."""
    exchange.sending(chunk)
    if chunk and exchange.whole():
        exchange.complete()


def dropped(exchange: Exchange) -> None:
    """Nobody holds the answer any more. Test clients neither read it to its end nor close it."""
    if not exchange.over:
        closing(exchange)
        exchange.end()


def closing(exchange: Exchange) -> None:
    """The server asks for no more: because it has all that was announced, or because the client has left."""
    if exchange.finished:
        # What the server did meanwhile, sending to a slow client, was not the app's.
        exchange.continued = exchange.continued or clock()
    else:
        length = header(exchange.response_headers, "content-length")
        exchange.left = length != str(exchange.response.size) and exchange.method != "HEAD"
        exchange.complete()


class Input:
    """The body of the request, with a look at what the app reads of it. All else is the server's own object's."""

    def __init__(self, exchange: Exchange, source: Any) -> None:
        self._exchange = exchange
        self._source = source

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """That of the server's object, for whoever asks `isinstance`."""
        return self._source.__class__

    def _note(self, data: Any) -> Any:
        exchange = self._exchange
        if not exchange.finished:
            run(exchange.client.failures, "wsgi.read", exchange.read, data)
        return data

    def read(self, *args: Any) -> Any:
        return self._note(self._source.read(*args))

    def readline(self, *args: Any) -> Any:
        return self._note(self._source.readline(*args))

    def readlines(self, *args: Any) -> list[bytes]:
        return [self._note(line) for line in self._source.readlines(*args)]

    def __iter__(self) -> Iterator[bytes]:
        for line in self._source:
            yield self._note(line)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._source, name)
        if name == "readinto":
            return self._readinto(value)
        return (lambda *args: self._note(value(*args))) if name == "read1" else value

    def _readinto(self, readinto: Any) -> Any:
        def counted(buffer: Any) -> Any:
            size = readinto(buffer)
            if size:
                self._note(memoryview(buffer)[:size])
            return size

        return counted


def redirect(location: str, start_response: Any) -> list[bytes]:
    """Send the browser to the dashboard."""
    headers = [("Location", location), ("Content-Length", "0"), ("Cache-Control", "no-store")]
    start_response("307 Temporary Redirect", headers)
    return [b""]
