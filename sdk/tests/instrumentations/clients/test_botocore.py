"""botocore, with the real library against a server that answers as S3 does."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING, Any

import botocore.client
import botocore.exceptions
import botocore.session
import botocore.stub
import pytest
from botocore.config import Config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from brakit import context
    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]


@pytest.fixture
def s3(peer: Any) -> Iterator[Any]:
    session = botocore.session.Session()
    session.set_credentials("key", "secret")
    config = Config(retries={"max_attempts": 3, "mode": "standard"}, s3={"addressing_style": "path"})
    made = session.create_client("s3", region_name="eu-west-1", endpoint_url=peer.url, config=config)
    yield made
    made.close()


def test_one_call_is_one_fetch_with_its_line(client: Client, events: Events, s3: Any, peer: Any, owner: context.Owner) -> None:
    assert s3.get_object(Bucket="shop", Key="lamp.json")["Body"].read() == b'{"ok": true}'
    [fetch] = events("fetch")
    data = fetch["data"]
    assert (data["method"], data["statusCode"], data["source"]) == ("GET", 200, "botocore")
    assert (data["url"], fetch["parentId"]) == (f"{peer.url}/shop/lamp.json", owner.id)
    assert data["callsite"]["file"].endswith("clients/test_botocore.py")
    # It is signed.
    assert peer.ids() == {}
    assert peer.seen[0][2]["authorization"].startswith("AWS4-HMAC-SHA256")


def test_retries_are_one_call(client: Client, events: Events, s3: Any, peer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    with pytest.raises(botocore.exceptions.ClientError):
        s3.head_bucket(Bucket="503")
    assert len(peer.seen) > 2
    [fetch] = events("fetch")
    assert (fetch["data"]["statusCode"], fetch["data"]["error"].split(":")[0]) == (503, "ClientError")


def test_the_error_is_the_app_s_own(client: Client, events: Events, s3: Any) -> None:
    error = LookupError("mine")

    def refuse(**_: Any) -> None:
        raise error

    s3.meta.events.register("before-send.s3.PutObject", refuse)
    with pytest.raises(LookupError) as raised:
        s3.put_object(Bucket="shop", Key="a", Body=b"12345")
    assert (raised.value, events("fetch")) == (error, [])


def test_what_sends_nothing_is_no_call(client: Client, events: Events, s3: Any) -> None:
    with pytest.raises(botocore.exceptions.ParamValidationError):
        s3.get_object(Bucket="shop")
    with botocore.stub.Stubber(s3) as stub:
        stub.add_response("list_buckets", {"Buckets": []})
        assert s3.list_buckets()["Buckets"] == []
    assert events("fetch") == []


def test_no_answer(client: Client, events: Events, s3: Any, peer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    with pytest.raises(botocore.exceptions.ConnectionClosedError):
        s3.head_bucket(Bucket="drop")
    [fetch] = events("fetch")
    assert (fetch["data"]["statusCode"], fetch["data"]["error"].split(":")[0]) == (0, "ConnectionClosedError")


def test_what_an_event_handler_calls_is_a_call_of_its_own(client: Client, events: Events, s3: Any, peer: Any) -> None:
    def audit(**_: Any) -> None:
        urllib.request.urlopen(f"{peer.url}/audit", timeout=5).close()

    s3.meta.events.register("before-call.s3.GetObject", audit)
    s3.get_object(Bucket="shop", Key="a")["Body"].close()
    assert [fetch["data"]["source"] for fetch in events("fetch")] == ["urllib", "botocore"]


def test_the_original_is_put_back(restored: Callable[..., None]) -> None:
    restored(botocore.client.BaseClient, "_make_api_call")
