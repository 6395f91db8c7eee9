"""Our failures stay ours.

The user's call runs exactly once, outside of anything that swallows. A probe is a generator cut in two by that call: what it
raises before or after costs one event and is counted; what the call raises comes back as the same object with its own traceback.
This is the only file of the SDK that catches every exception.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from brakit.client import Client

    Probe = Callable[["Call"], Generator[None, Any, Any]]


class Raised(Exception):
    """Thrown into a probe instead of a result: the user's call raised `error`.

    Not the user's exception itself: throwing that through a generator would add our frames to its traceback.
    """

    def __init__(self, error: BaseException) -> None:
        self.error = error


class Call:
    """One call of the user's, as a probe sees it."""

    __slots__ = ("args", "client", "kwargs", "names")

    def __init__(self, client: Client, names: tuple[str, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.client = client
        self.names = names
        self.args = args
        self.kwargs = kwargs

    def arg(self, name: str, default: Any = None) -> Any:
        """The argument of that name, however it was passed; `default` when it was not."""
        if name in self.kwargs:
            return self.kwargs[name]
        names = self.names
        for index in range(min(len(names), len(self.args))):
            if names[index] == name:
                return self.args[index]
        return default

    def replace(self, name: str, value: Any) -> None:
        """Pass `value` to the user's call instead; the caller's own objects are not touched.

        Raises LookupError for a name that the call does not know: the user's call must not fail for it.
        """
        names = self.names
        if name in self.kwargs:
            self.kwargs = {**self.kwargs, name: value}
            return
        if name not in names:
            raise LookupError(f"no parameter {name!r}")
        index = names.index(name)
        if index < len(self.args):
            self.args = (*self.args[:index], value, *self.args[index + 1 :])
        else:
            self.kwargs = {**self.kwargs, name: value}


class Failures:
    """What went wrong in our own lines: a count by place, and the text of the first of each."""

    MAX_PLACES = 200

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.first: dict[str, str] = {}

    def add(self, place: str, error: BaseException) -> None:
        """Count one; keeps text only, so that no frame of the app lives on."""
        if place not in self.counts and len(self.counts) >= self.MAX_PLACES:
            place = "elsewhere"
        self.counts[place] = self.counts.get(place, 0) + 1
        if place not in self.first:
            self.first[place] = _describe(error)


def _describe(error: BaseException) -> str:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    where = f" at {traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}" if traceback is not None else ""
    try:
        text = str(error)
    except Exception:
        text = "<no text>"
    return f"{type(error).__name__}: {text[:300]}{where}"


def run(failures: Failures, place: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call one of our own functions; None when it fails."""
    try:
        return function(*args, **kwargs)
    except Exception as error:
        failures.add(place, error)
        return None


def text_of(value: object, limit: int) -> str:
    """`str(value)` of an object that may be hostile; its type where that fails."""
    try:
        text = str(value)
        return text[:limit] if type(text) is str else f"<{type(value).__name__}>"
    except Exception:
        return f"<{type(value).__name__}>"


def bracket(client: Client, place: str, original: Callable[..., Any], probe: Probe) -> Callable[..., Any]:
    """`original` with `probe` around it, of the same kind (plain or coroutine function) and the same look."""
    names = _names(original)
    failures = client.failures

    def enter(call: Call) -> Generator[None, Any, Any] | None:
        try:
            step = probe(call)
            next(step)
            return step
        except StopIteration:
            return None
        except Exception as error:
            failures.add(place, error)
            return None

    def leave(step: Generator[None, Any, Any], result: Any) -> Any:
        try:
            step.send(result)
        except StopIteration as stop:
            return result if stop.value is None else stop.value
        except Exception as error:
            failures.add(place, error)
        else:
            end(step)
        return result

    def fail(step: Generator[None, Any, Any], error: BaseException) -> None:
        try:
            step.throw(Raised(error))
        except (Raised, StopIteration):
            pass
        except Exception as ours:
            failures.add(place, ours)
        else:
            end(step)

    def end(step: Generator[None, Any, Any]) -> None:
        try:
            failures.add(place, RuntimeError("the probe yielded twice"))
            step.close()
        except Exception as error:
            failures.add(place, error)

    def plain(*args: Any, **kwargs: Any) -> Any:
        if not client.open:
            return original(*args, **kwargs)
        call = Call(client, names, args, kwargs)
        step = enter(call)
        if step is None:
            return original(*call.args, **call.kwargs)
        try:
            result = original(*call.args, **call.kwargs)
        except BaseException as error:
            fail(step, error)
            raise
        return leave(step, result)

    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        if not client.open:
            return await original(*args, **kwargs)
        call = Call(client, names, args, kwargs)
        step = enter(call)
        if step is None:
            return await original(*call.args, **call.kwargs)
        try:
            result = await original(*call.args, **call.kwargs)
        except BaseException as error:
            fail(step, error)
            raise
        return leave(step, result)

    return _dress(coroutine if _is_coroutine_function(original) else plain, original)


def around(
    client: Client,
    place: str,
    original: Callable[..., Any],
    before: Callable[..., Any],
    after: Callable[..., Any] | None = None,
    failed: Callable[..., Any] | None = None,
    *,
    takes: int | None = None,
    interest: str = "",
    instead: str = "",
) -> Callable[..., Any]:
    """The same law as `bracket`, for a function that is called so often that a generator for each call is too dear.

    `before` gets the arguments of the call. What it returns is handed to `after(state, self, result)` or `failed(state, self, error)`;
    None says that this call is of no interest. What `after` returns, unless None, takes the place of the result.

    `takes` is how many of the arguments `before` gets, the first ones; all of them if not given. `interest` is an expression over
    the parameters of the original and `{self}`, its first one: where it is false, `before` is not asked. `instead` names a parameter
    whose place is taken by what `before` returns, unless None; `after` and `failed` are not called then.
    """
    parameters, arguments = _signature(original)
    namespace: dict[str, Any] = {
        "our_client": client,
        "our_failures": client.failures,
        "our_place": place,
        "our_original": original,
        "our_before": before,
        "our_after": after,
        "our_failed": failed,
        "our_defaults": getattr(original, "__defaults__", None),
        "our_kwdefaults": getattr(original, "__kwdefaults__", None),
    }
    first = arguments.split(",")[0].replace("*args", "args[0]")
    call = f"our_original({arguments})"
    kind = ""
    if _is_coroutine_function(original):
        kind, call = "async ", f"await {call}"
    names = {"kind": kind, "parameters": parameters, "arguments": arguments, "self": first, "call": call, "instead": instead}
    given = arguments.split(", ")
    named = [name for name in given if not name.startswith("*")]
    if takes is not None and len(named) < takes and len(named) < len(given):
        # Somebody has wrapped it with a function that takes anything: what it takes is found by the names of what they wrap.
        rest = next((name[1:] for name in given if name.startswith("*") and not name.startswith("**")), "")
        kept = next((name[2:] for name in given if name.startswith("**")), "")
        known = _names(original) if rest else (*named, *_names(getattr(original, "__wrapped__", original))[len(named) :])
        namespace["our_first"] = lambda args, kwargs: [*args[:takes], *(kwargs[name] for name in known[len(args) : takes])]
        given = [f"*our_first(({''.join(f'{name}, ' for name in named)}*{rest or '()'},), {kept or '{}'})"]
        names["swap"] = f"{rest or 'our_rest'}, {kept or 'our_named'} = our_swap({rest or '()'}, {kept or '{}'}, our_state)"
        at = known.index(instead) - len(named) if instead in known else -1
        namespace["our_swap"] = lambda args, kwargs, value: (
            ((*args[:at], value, *args[at + 1 :]), kwargs) if 0 <= at < len(args) else (args, {**kwargs, instead: value})
        )
    else:
        names["swap"] = f"{instead} = our_state"
    names["state"] = f"our_before({', '.join(given[:takes])})"
    if interest:
        names["state"] += f" if {interest.format(self=first)} else None"
    source = _ENTER + (_INSTEAD if instead else _AROUND if after or failed else _ONLY)
    exec(compile(source.format(**names), "<brakit.guard>", "exec"), namespace)
    return _dress(namespace["method"], original)


# Compiled with the parameters of the original: a call with named parameters costs a third of one through *args and **kwargs.
_ENTER = """
{kind}def method({parameters}):
    if not our_client.open:
        return {call}
    try:
        our_state = {state}
    except Exception as our_error:
        our_failures.add(our_place, our_error)
        our_state = None
"""
_ONLY = """
    return {call}
"""
_INSTEAD = """
    if our_state is not None:
        {swap}
    return {call}
"""
_AROUND = """
    if our_state is None:
        return {call}
    try:
        our_result = {call}
    except BaseException as their_error:
        if our_failed is not None:
            try:
                our_failed(our_state, {self}, their_error)
            except Exception as our_error:
                our_failures.add(our_place, our_error)
        raise
    if our_after is not None:
        try:
            our_instead = our_after(our_state, {self}, our_result)
        except Exception as our_error:
            our_failures.add(our_place, our_error)
        else:
            if our_instead is not None:
                return our_instead
    return our_result
"""


def safe(failures: Failures, place: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """One of our own functions as `run` would call it: its result is None when it fails. For what is called again and again, at a third
    of the cost."""
    parameters, arguments = _signature(function)
    namespace: dict[str, Any] = {
        "our_function": function,
        "our_failures": failures,
        "our_place": place,
        "our_defaults": getattr(function, "__defaults__", None),
        "our_kwdefaults": getattr(function, "__kwdefaults__", None),
    }
    exec(compile(_SAFE.format(parameters=parameters, arguments=arguments), "<brakit.guard>", "exec"), namespace)
    made: Callable[..., Any] = namespace["safe"]
    return made


_SAFE = """
def safe({parameters}):
    try:
        return our_function({arguments})
    except Exception as our_error:
        our_failures.add(our_place, our_error)
        return None
"""


def _signature(original: Callable[..., Any]) -> tuple[str, str]:
    """The parameters of a function as its definition has them, and the arguments that pass them on."""
    code = getattr(original, "__code__", None)
    if code is None:
        return "*args, **kwargs", "*args, **kwargs"
    names = code.co_varnames[: code.co_argcount]
    keywords = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    rest = code.co_varnames[code.co_argcount + code.co_kwonlyargcount :]
    first = len(names) - len(getattr(original, "__defaults__", None) or ())
    parameters = [name if index < first else f"{name}=our_defaults[{index - first}]" for index, name in enumerate(names)]
    arguments = list(names)
    if code.co_flags & 0x04:  # CO_VARARGS
        parameters.append("*" + rest[0])
        arguments.append("*" + rest[0])
        rest = rest[1:]
    elif keywords:
        parameters.append("*")
    defaults = getattr(original, "__kwdefaults__", None) or {}
    parameters += [f"{name}=our_kwdefaults[{name!r}]" if name in defaults else name for name in keywords]
    arguments += [f"{name}={name}" for name in keywords]
    if code.co_flags & 0x08:  # CO_VARKEYWORDS
        parameters.append("**" + rest[0])
        arguments.append("**" + rest[0])
    return ", ".join(parameters), ", ".join(arguments)


def _dress(wrapper: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    """`wrapper` with the looks of `original`."""
    # From 3.14 on annotations are computed when asked for, which may fail before the module is whole.
    annotations = "__annotate__" if sys.version_info >= (3, 14) else "__annotations__"
    for name in ("__module__", "__name__", "__qualname__", "__doc__", annotations, "__type_params__"):
        if hasattr(original, name):
            setattr(wrapper, name, getattr(original, name))
    wrapper.__dict__.update(getattr(original, "__dict__", {}))
    wrapper.__dict__["__wrapped__"] = original
    return wrapper


def _names(original: Callable[..., Any]) -> tuple[str, ...]:
    """Names of the positional parameters, through wrappers that say what they wrap."""
    for _ in range(20):
        code = getattr(original, "__code__", None)
        # What takes anything passes it on, under the names of what it wraps.
        if (code is not None and not code.co_flags & 0x04) or not hasattr(original, "__wrapped__"):  # CO_VARARGS
            break
        original = original.__wrapped__
    return code.co_varnames[: code.co_argcount] if code is not None else ()


def _is_coroutine_function(function: Any) -> bool:
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    if flags & 0x80:  # CO_COROUTINE, https://docs.python.org/3/library/inspect.html#inspect.CO_COROUTINE
        return True
    # It may be there and not be whole yet: what it imports is patched as well.
    ask = getattr(sys.modules.get("inspect"), "iscoroutinefunction", None)
    return bool(ask is not None and ask(function))
