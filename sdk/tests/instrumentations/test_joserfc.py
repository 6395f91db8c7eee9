"""`joserfc.py`: tokens and claims of joserfc."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import joserfc.errors
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from brakit.client import Client
    from brakit.context import Owner

    Events = Callable[..., list[dict[str, Any]]]

KEY = OctKey.import_key("k" * 32)
OTHER = OctKey.import_key("o" * 32)
HERE = "sdk/tests/instrumentations/test_joserfc.py"


def token(**claims: Any) -> str:
    return jwt.encode({"alg": "HS256"}, {"sub": "somebody-secret", **claims}, KEY)


def test_a_token_and_its_claims(client: Client, events: Events, in_request: Callable[[], AbstractContextManager[Owner]]) -> None:
    made = token(exp=int(time.time()) + 60)
    registry = jwt.JWTClaimsRegistry(exp={"essential": True})
    with in_request() as owner:
        registry.validate(jwt.decode(made, KEY).claims)
        line = sys._getframe().f_lineno - 1
    found = events()
    assert [(event["type"], event["parentId"]) for event in found] == [("auth.check", owner.id)] * 2
    assert [(event["data"]["provider"], event["data"]["result"]) for event in found] == [("jwt", "valid")] * 2
    assert [event["data"].get("checked") for event in found] == [None, "claims"]
    assert {(event["data"]["callsite"]["file"], event["data"]["callsite"]["line"]) for event in found} == {(HERE, line)}
    assert "somebody-secret" not in str(found)
    assert made not in str(found)


@pytest.mark.parametrize(
    ("claims", "key", "error", "results"),
    [
        ({"exp": 1}, KEY, joserfc.errors.ExpiredTokenError, ["valid", "expired"]),
        ({"aud": "else"}, KEY, joserfc.errors.InvalidClaimError, ["valid", "invalid"]),
        ({}, OTHER, joserfc.errors.BadSignatureError, ["invalid"]),
    ],
)
def test_what_is_wrong_with_it(
    client: Client, events: Events, claims: dict[str, Any], key: OctKey, error: type[Exception], results: list[str]
) -> None:
    registry = jwt.JWTClaimsRegistry(aud={"value": "me"})
    with pytest.raises(error):
        registry.validate(jwt.decode(token(**claims), key).claims)
    assert [event["data"]["result"] for event in events()] == results


def test_no_token_and_misuse(client: Client, events: Events) -> None:
    with pytest.raises(joserfc.errors.DecodeError):
        jwt.decode("no.token.at-all", KEY)
    assert [event["data"]["result"] for event in events()] == ["invalid"]
    with pytest.raises(TypeError):
        jwt.decode(token(), KEY, algorithms=3)  # type: ignore[arg-type]
    assert events() == []


def test_everything_comes_back(client: Client) -> None:
    ours = jwt.decode, jwt.JWTClaimsRegistry.validate
    client.shutdown(0)
    assert (jwt.decode, vars(jwt.JWTClaimsRegistry).get("validate")) == (vars(ours[0])["__wrapped__"], None)
