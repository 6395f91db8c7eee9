"""`fastapi.py`: the security dependencies of real apps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fastapi
import fastapi.security as security
import httpx
import pytest
from sdk.tests.conftest import qualified

from brakit.instrumentations.fastapi import DEPENDENCIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]

SECRET = "s3cret-credential"


class Own(security.OAuth2PasswordBearer):
    """An app's own, which asks the library's first."""

    async def __call__(self, request: fastapi.Request) -> str | None:  # type: ignore[override]
        return await super().__call__(request)


# An old FastAPI does not find what the text of such an annotation means.
Own.__call__.__annotations__["request"] = fastapi.Request


def guarded(dependency: Any) -> fastapi.FastAPI:
    app = fastapi.FastAPI()
    asked: Any = fastapi.Security(dependency)

    @app.get("/orders")
    def orders(credential: Any = asked) -> str:
        return "in" if credential is not None else "out"

    return app


async def get(app: fastapi.FastAPI, **given: Any) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app.test") as caller:
        return await caller.get("/orders", **given)


BEARER = {"headers": {"authorization": f"Bearer {SECRET}"}}


@pytest.mark.parametrize(
    ("dependency", "given"),
    [
        (security.OAuth2PasswordBearer(tokenUrl="token"), BEARER),
        (security.OAuth2AuthorizationCodeBearer(authorizationUrl="a", tokenUrl="token"), BEARER),
        (security.OAuth2(), BEARER),
        (security.OpenIdConnect(openIdConnectUrl="a"), BEARER),
        (security.HTTPBearer(), BEARER),
        (security.HTTPBasic(), {"auth": ("me", SECRET)}),
        (security.HTTPDigest(), {"headers": {"authorization": f"Digest {SECRET}"}}),
        (security.APIKeyHeader(name="x-key"), {"headers": {"x-key": SECRET}}),
        (security.APIKeyQuery(name="key"), {"params": {"key": SECRET}}),
        (security.APIKeyCookie(name="key"), {"headers": {"cookie": f"key={SECRET}"}}),
        (Own(tokenUrl="token"), BEARER),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_credential_and_none(client: Client, events: Events, dependency: Any, given: Any) -> None:
    app = guarded(dependency)
    assert (await get(app, **given)).json() == "in"
    refused = await get(app)
    assert refused.status_code in (401, 403)
    dependency.auto_error = False
    assert (await get(app)).json() == "out"
    found = [event for event in events() if event["type"] in ("auth.check", "request")]
    assert [event["type"] for event in found] == ["auth.check", "request"] * 3
    checks = found[::2]
    assert [event["data"]["result"] for event in checks] == ["allowed", "denied", "anonymous"]
    assert {event["data"]["provider"] for event in checks} == {type(dependency).__name__}
    assert [event["parentId"] for event in checks] == [event["id"] for event in found[1::2]]
    site = checks[0]["data"]["callsite"]
    assert (site["file"], site["function"]) == (
        "sdk/tests/instrumentations/test_fastapi.py",
        qualified("guarded.<locals>.orders"),
    )
    assert SECRET not in str(checks)


async def test_the_views_own_refusal_is_not_the_dependencys(client: Client, events: Events) -> None:
    bearer = security.OAuth2PasswordBearer(tokenUrl="token")
    app = fastapi.FastAPI()

    def user(token: str = fastapi.Depends(bearer)) -> str:
        raise fastapi.HTTPException(401)

    @app.get("/orders")
    def orders(name: str = fastapi.Depends(user)) -> str:
        return name

    assert (await get(app, **BEARER)).status_code == 401
    assert [event["data"]["result"] for event in events("auth.check")] == ["allowed"]
    assert events("error") == []


def test_they_come_back(client: Client) -> None:
    places = [(holder, name, before) for holder, name, before, _ in client.patches.restores if holder in classes()]
    assert len(places) == sum(map(len, DEPENDENCIES.values()))
    client.shutdown(0)
    assert all(vars(holder)[name] is before for holder, name, before in places)


def classes() -> list[Any]:
    import importlib

    return [getattr(importlib.import_module(module), name) for module, names in DEPENDENCIES.items() for name in names]
