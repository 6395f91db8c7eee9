"""`jwt.py`: tokens of PyJWT."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from brakit.client import Client
    from brakit.context import Owner

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]

KEY = "k" * 32
OTHER = "o" * 32
HERE = "sdk/tests/instrumentations/test_jwt.py"


def token(**claims: Any) -> str:
    return jwt.encode({"sub": "somebody-secret", **claims}, KEY, algorithm="HS256")


def test_a_token(client: Client, events: Events, in_request: Callable[[], AbstractContextManager[Owner]]) -> None:
    made = token()
    with in_request() as owner:
        assert jwt.decode(made, KEY, algorithms=["HS256"])["sub"] == "somebody-secret"
        line = sys._getframe().f_lineno - 1
    [event] = events()
    assert event["parentId"] == owner.id
    data = event["data"]
    assert (data["provider"], data["result"]) == ("jwt", "valid")
    assert (data["callsite"]["file"], data["callsite"]["line"]) == (HERE, line)
    assert "somebody-secret" not in str(event)
    assert made not in str(event)


@pytest.mark.parametrize(
    ("made", "key", "error", "result"),
    [
        (token(exp=time.time() - 60), KEY, jwt.ExpiredSignatureError, "expired"),
        (token(), OTHER, jwt.InvalidSignatureError, "invalid"),
        (token(aud="else"), KEY, jwt.InvalidAudienceError, "invalid"),
        ("no.token.at-all", KEY, jwt.DecodeError, "invalid"),
    ],
)
def test_what_is_wrong_with_it(client: Client, events: Events, made: str, key: str, error: Any, result: str) -> None:
    with pytest.raises(error):
        jwt.decode(made, key, algorithms=["HS256"])
    [event] = events()
    assert (event["type"], event["data"]["result"]) == ("auth.check", result)
    assert "parentId" not in event


def complete() -> Any:
    """`jwt.decode_complete`, where this version has it."""
    return getattr(jwt, "decode_complete", None) or jwt.PyJWT().decode_complete


def test_every_way_to_decode_is_one_check(client: Client, events: Events) -> None:
    made = token()
    complete()(made, KEY, algorithms=["HS256"])
    jwt.PyJWT().decode(made, KEY, algorithms=["HS256"])
    jwt.PyJWT().decode_complete(made, KEY, algorithms=["HS256"])
    assert [event["data"]["result"] for event in events()] == ["valid"] * 3


def test_a_signature_that_nobody_looks_at(client: Client, events: Events) -> None:
    options: Any = {"verify_signature": False}
    jwt.decode(token(), options=options)
    complete()(token(), options=options)
    complete()(token(), "", None, options)
    assert [event["data"]["result"] for event in events()] == ["unverified"] * 3


def test_misuse_is_no_check(client: Client, events: Events) -> None:
    wrong: Any = 5
    with pytest.raises(TypeError):
        jwt.decode(token(), wrong, algorithms=["HS256"])
    assert events() == []


def test_it_comes_back(client: Client) -> None:
    places = list(client.patches.restores)
    ours = [entry for entry in places if getattr(entry[0], "__name__", "") in ("jwt", "PyJWT")]
    assert len(ours) == 1 + hasattr(jwt, "decode_complete")
    client.shutdown(0)
    assert all(vars(holder).get(name) is before for holder, name, before, _ in ours)
