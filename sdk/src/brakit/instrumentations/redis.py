"""Redis: every command, through `execute_command` of `Redis` and `RedisCluster`, sync and async; a pipeline is one record.

Shown are the command and its key, never a value: `GET user:42`. Commands whose first argument is no key are shown by their name. A
command that waits for somebody else (`BLPOP`, `XREAD … BLOCK`) is a span, because waiting is not a slow query, and nothing at all
outside of any request, job or span, where it is a loop's way to sleep. The wait for a connection of a `BlockingConnectionPool` is a
span when it takes longer than a millisecond.

Not recorded: subscriptions and the messages that come in by them, `MONITOR`; what a job queue does for itself; commands outside of any
owner that no line of the app has led to.
"""

from __future__ import annotations

import sys

from brakit import callsite, context, errors, guard
from brakit.clocks import clock
from brakit.guard import Raised
from brakit.instrumentations._jobs import is_quiet
from brakit.instrumentations._pools import Waits
from brakit.record import Record, plain_params, plain_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.client import Client
    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ">=4.2,<9"

MAX_COMMANDS = 50
"""Commands of a pipeline that are shown."""
MAX_KEYS = 5

_OPERATIONS = {
    "SELECT": (
        "GET MGET GETRANGE SUBSTR STRLEN EXISTS TTL PTTL EXPIRETIME PEXPIRETIME TYPE OBJECT KEYS SCAN HGET HGETALL HMGET HKEYS HVALS "
        "HLEN HEXISTS HSCAN HSTRLEN HRANDFIELD LRANGE LLEN LINDEX LPOS SMEMBERS SISMEMBER SMISMEMBER SCARD SSCAN SRANDMEMBER SINTER "
        "SUNION SDIFF ZRANGE ZRANGEBYSCORE ZRANGEBYLEX ZREVRANGE ZREVRANGEBYSCORE ZREVRANGEBYLEX ZSCORE ZMSCORE ZRANK ZREVRANK ZCARD "
        "ZCOUNT ZLEXCOUNT ZSCAN ZRANDMEMBER GETBIT BITCOUNT BITPOS PFCOUNT GEOPOS GEODIST GEOHASH GEOSEARCH GEORADIUS XRANGE XREVRANGE "
        "XLEN XREAD XREADGROUP XPENDING DUMP JSON.GET JSON.MGET FT.SEARCH TS.GET TS.RANGE"
    ),
    "INSERT": (
        "SET SETEX PSETEX SETNX MSET MSETNX HSET HSETNX HMSET LPUSH LPUSHX RPUSH RPUSHX SADD ZADD XADD PFADD GEOADD RESTORE JSON.SET "
        "TS.ADD"
    ),
    "UPDATE": (
        "INCR INCRBY INCRBYFLOAT DECR DECRBY HINCRBY HINCRBYFLOAT ZINCRBY APPEND SETRANGE SETBIT GETSET GETEX LSET LINSERT LTRIM LMOVE "
        "RPOPLPUSH SMOVE RENAME RENAMENX COPY EXPIRE EXPIREAT PEXPIRE PEXPIREAT PERSIST TOUCH XACK XCLAIM PFMERGE SINTERSTORE "
        "SUNIONSTORE SDIFFSTORE ZRANGESTORE"
    ),
    "DELETE": (
        "DEL UNLINK GETDEL HDEL LREM LPOP RPOP SREM SPOP ZREM ZPOPMIN ZPOPMAX ZREMRANGEBYSCORE ZREMRANGEBYRANK ZREMRANGEBYLEX XDEL "
        "XTRIM JSON.DEL"
    ),
    # Nothing that the words fit to, but with a key.
    "OTHER": "PUBLISH SPUBLISH WATCH SORT",
}
_KEYED = {name: operation for operation, names in _OPERATIONS.items() for name in names.split()}
_BLOCKING = frozenset(("BLPOP", "BRPOP", "BLMOVE", "BRPOPLPUSH", "BZPOPMIN", "BZPOPMAX", "BLMPOP", "BZMPOP", "WAIT", "WAITAOF"))
_MAY_BLOCK = frozenset(("XREAD", "XREADGROUP"))
_FREE_FORM = frozenset(("FT.SEARCH", "OBJECT", "KEYS", "SCAN", "XREAD", "XREADGROUP"))
"""Their first argument is no key."""
_MANY_KEYS = frozenset(("MGET", "DEL", "UNLINK", "EXISTS", "TOUCH", "WATCH"))
_CONTAINERS = frozenset(("CLIENT", "CLUSTER", "COMMAND", "CONFIG", "FUNCTION", "MEMORY", "OBJECT", "SCRIPT", "XGROUP", "XINFO"))


class Command(Record):
    """A command, or the commands of a pipeline. Its texts are put together on the sender's thread."""

    __slots__ = ("batch", "commands", "error", "params", "rows", "transaction")

    def __init__(self, commands: list[tuple[object, ...]], params: tuple[object, ...] | None, batch: int | None) -> None:
        self.kind = "db.query"
        self.owner = context.current()
        self.site = None
        self.cost = 0
        self.emitted = False
        self.commands = commands
        self.params = params
        self.batch = batch
        self.error: str | None = None
        self.rows: int | None = None
        self.transaction = False
        self.started = self.ended = clock()

    @property
    def data(self) -> dict[str, object]:  # type: ignore[override]
        if self.batch is None:
            name, keys = self.commands[0][0], [_text(key) for key in self.commands[0][1:]]
            operation = _KEYED.get(str(name), "OTHER")
            sql = " ".join([str(name), *keys])
            shape = f"{name} ?" if keys else str(name)
            table = keys[0] if keys else ""
        else:
            head = "MULTI" if self.transaction else "PIPELINE"
            operations = {_KEYED.get(str(command[0]), "OTHER") for command in self.commands}
            operation = operations.pop() if len(operations) == 1 else "OTHER"
            lines = [" ".join([str(command[0]), *map(_text, command[1:])]) for command in self.commands]
            if self.batch > len(lines):
                lines.append("…")
            sql = "\n".join([head, *lines])
            shapes = [f"{command[0]} ?" if len(command) > 1 else str(command[0]) for command in self.commands]
            shape = " ".join([head, *dict.fromkeys(shapes)])
            table = next((_text(command[1]) for command in self.commands if len(command) > 1), "")
        return {
            "operation": operation,
            "table": prefix(table),
            "sql": sql,
            "shape": shape,
            "source": "redis",
            "system": "redis",
            "params": self.params,
            "row_count": self.rows,
            "error": self.error,
            "batch_size": self.batch,
        }


def instrument(patch: Patches) -> None:
    probes = Probes(patch.client)
    for target in (
        "redis.client:Redis.execute_command",
        "redis.client:Pipeline.immediate_execute_command",
        "redis.cluster:RedisCluster.execute_command",
        "redis.asyncio.client:Redis.execute_command",
        "redis.asyncio.client:Pipeline.immediate_execute_command",
        "redis.asyncio.cluster:RedisCluster.execute_command",
    ):
        patch.probe(target, probes.command)
    for target in (
        "redis.client:Pipeline.execute",
        "redis.cluster:ClusterPipeline.execute",
        "redis.asyncio.client:Pipeline.execute",
        "redis.asyncio.cluster:ClusterPipeline.execute",
    ):
        patch.probe(target, probes.pipeline)
    waits = PoolWaits(patch.client, "redis", "redis")
    for module in ("redis.connection", "redis.asyncio.connection"):
        patch.probe(f"{module}:BlockingConnectionPool.get_connection", waits.probe)


class PoolWaits(Waits):
    def before(self, pool: Any, *_: Any, **__: Any) -> int | None:
        """A pool that has a connection to give, or to make, does not let wait."""
        if is_quiet() or has_free(pool) or (context.current() is None and callsite.find(sys._getframe(2)) is None):
            return None
        return clock()

    def probe(self, call: Call) -> Generator[None, Any, Any]:
        """Some versions have a plain function that returns the coroutine."""
        pool = call.args[0]
        started = self.before(pool)
        if started is None:
            return None
        try:
            result = yield
        except Raised as raised:
            self.failed(started, pool, raised.error)
            return None
        if type(result).__name__ == "coroutine":
            return self.awaited(started, pool, result)
        self.after(started, pool, result)
        return None

    async def awaited(self, started: int, pool: Any, coroutine: Any) -> Any:
        try:
            connection = await coroutine
        except BaseException as error:
            guard.run(self.failures, "redis:BlockingConnectionPool", self.failed, started, pool, error)
            raise
        guard.run(self.failures, "redis:BlockingConnectionPool", self.after, started, pool, connection)
        return connection


def has_free(pool: Any) -> bool:
    """Whether there is a place in its queue; asynchronous pools have a list and a limit from redis 5 on. True where neither tells."""
    queue = getattr(pool, "pool", None)
    places = getattr(queue, "queue", None)
    if places is None:
        places = getattr(queue, "_queue", None)
    if places is not None:
        return len(places) > 0
    used = getattr(pool, "_in_use_connections", None)
    if type(used) is not set or type(pool.max_connections) is not int:
        return True
    return len(pool._available_connections) > 0 or len(used) < pool.max_connections


class Probes:
    """What is written down about the commands of one client of ours."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.buffer = client.buffer

    def command(self, call: Call) -> Generator[None, Any, None]:
        """One command."""
        if is_quiet():
            return
        args = call.args[1:]
        command, blocking = describe(args)
        site = callsite.find(sys._getframe(2))
        owner = context.current()
        if owner is None and (site is None or blocking):
            return
        record: Record
        if blocking:
            name = " ".join(map(_text, command))
            record = Record("span", {"name": name, "span_id": context.new_span_id(), "attributes": {"system": "redis"}})
        else:
            record = Command([command], plain_params(args[1:]), None)
        record.site = site
        yield from self.finished(record)

    def pipeline(self, call: Call) -> Generator[None, Any, None]:
        """The commands that were put into a pipeline, and now go out together."""
        pipeline = call.args[0]
        stack = getattr(pipeline, "command_stack", None) or getattr(pipeline, "_command_stack", None)
        if stack is None:
            # Where the pipeline of a cluster has a strategy that keeps them.
            stack = getattr(getattr(pipeline, "_execution_strategy", None), "_command_queue", None)
        if not stack or is_quiet():
            return
        site = callsite.find(sys._getframe(2))
        if site is None and context.current() is None:
            return
        commands = [describe(_args(entry))[0] for entry in stack[:MAX_COMMANDS]]
        record = Command(commands, None, len(stack))
        own = vars(pipeline)
        record.transaction = True in (own.get("transaction"), own.get("is_transaction"), own.get("explicit_transaction"))
        record.site = site
        yield from self.finished(record)

    def finished(self, record: Record) -> Generator[None, Any, None]:
        record.started = clock()
        try:
            result = yield
        except Raised as raised:
            record.ended = clock()
            if isinstance(record, Command):
                record.error = errors.text_of(raised.error)
            else:
                record.data["error"] = errors.text_of(raised.error)
            record.emit(self.buffer)
            return
        record.ended = clock()
        if isinstance(record, Command) and record.batch is None:
            record.rows = rows_of(record.commands[0][0], result)
        record.emit(self.buffer)


def describe(args: tuple[Any, ...]) -> tuple[tuple[object, ...], bool]:
    """A command as its name and keys, without its values; and whether it waits for somebody else."""
    text = plain_value(args[0]) if args else ""
    words = _text(text).split()
    # `execute_command("GET key")` is one way to say it, `execute_command("GET", "key")` another.
    name, given = (words[0].upper(), (*words[1:], *args[1:])) if words else ("", args[1:])
    blocking = name in _BLOCKING or (
        name in _MAY_BLOCK and any(type(arg) in (str, bytes) and arg.upper() in ("BLOCK", b"BLOCK") for arg in given)
    )
    if name in _CONTAINERS and words[1:]:
        return (f"{name} {words[1].upper()}",), blocking
    if name in _FREE_FORM or not given or not (name in _KEYED or (blocking and not name.startswith("WAIT"))):
        return (name,), blocking
    if name in _MANY_KEYS:
        keys = given[: MAX_KEYS + 1]
        shown: list[object] = [plain_value(key) for key in keys[:MAX_KEYS]]
        return (name, *shown, *(("…",) if len(keys) > MAX_KEYS else ())), blocking
    return (name, plain_value(given[0])), blocking


def rows_of(name: object, result: object) -> int | None:
    """How many values a read gave, or how many keys a deletion found, where the answer says so without being read."""
    operation = _KEYED.get(str(name))
    kind = type(result)
    if operation == "SELECT":
        if result is None:
            return 0
        if kind is list or kind is set or kind is dict:
            return len(result)  # type: ignore[arg-type]
        return 1 if kind is str or kind is bytes else None
    return result if operation == "DELETE" and type(result) is int and result >= 0 else None


def prefix(key: str) -> str:
    """What stands before the first colon of a key, if it reads like a name: the nearest that Redis has to a table."""
    head, colon, _ = key.partition(":")
    return head if colon and head.isascii() and len(head) <= 64 and head.replace("_", "").replace("-", "").isalpha() else ""


def _args(entry: Any) -> tuple[Any, ...]:
    """The arguments of a command in a pipeline: a pair of them and options, or an object of the cluster's."""
    args = entry[0] if type(entry) is tuple else entry.args
    return tuple(args)


def _text(key: object) -> str:
    if type(key) is tuple and key:
        return _text(key[0]) + "…"
    return key.decode("utf-8", "backslashreplace") if type(key) is bytes else str(key)
