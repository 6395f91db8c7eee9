"""HTTP clients, and databases with a protocol of their own, against the stub and Redis; the work is done in a request."""

# mypy: disable-error-code="import-untyped,import-not-found,untyped-decorator,misc,unused-ignore"

from __future__ import annotations

import contextlib
import functools
import http.client
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from tests.faults.apps.drivers import Work, looped
from tests.faults.bench import InRequest, Stub
from tests.faults.observing import Run, See
from tests.faults.sweep import App

Making = contextlib.AbstractContextManager[Run]


@functools.cache
def the_stub() -> Stub:
    """One for all; it ends with the process."""
    return Stub()


def calling(begin: Callable[[Stub], Iterator[Callable[[See], None]]]) -> Callable[[], Making]:
    """`begin` is a generator that gives the work; what the stub was asked for is told after it."""

    @contextlib.contextmanager
    def made() -> Iterator[Run]:
        stub = the_stub()
        generator = begin(stub)
        work = next(generator)
        inside = InRequest()

        def run(see: See) -> None:
            inside(see, work)
            stub.asked(see)

        try:
            yield run
        finally:
            next(generator, None)

    return made


def awaiting(begin: Callable[[Stub], AsyncIterator[Work]]) -> Callable[[], Making]:
    """The same for coroutines."""

    @contextlib.contextmanager
    def made() -> Iterator[Run]:
        stub = the_stub()
        with looped(lambda: begin(stub)) as inside:

            def run(see: See) -> None:
                inside(see)
                stub.asked(see)

            yield run

    return made


def httpx_sync(stub: Stub) -> Iterator[Callable[[See], None]]:
    import httpx

    client = httpx.Client(base_url=stub.url, follow_redirects=True)

    def work(see: See) -> None:
        see(client.post("/ok", json={"a": 1}).json())
        see(client.get("/away").status_code)
        see(client.get("/fail").status_code)
        with client.stream("GET", "/ok") as response:
            see(response.read())
        with see.error():
            client.post("/drop")

    yield work
    client.close()


async def httpx_async(stub: Stub) -> AsyncIterator[Work]:
    import httpx

    client = httpx.AsyncClient(base_url=stub.url, follow_redirects=True)

    async def work(see: See) -> None:
        see((await client.post("/ok", json={"a": 1})).json())
        see((await client.get("/away")).status_code)
        with see.error():
            await client.post("/drop")

    yield work
    await client.aclose()


def requests(stub: Stub) -> Iterator[Callable[[See], None]]:
    import requests

    session = requests.Session()
    session.trust_env = False

    def work(see: See) -> None:
        see(session.post(f"{stub.url}/ok", json={"a": 1}).json())
        see(session.get(f"{stub.url}/away").status_code)
        see(session.get(f"{stub.url}/fail").status_code)
        with see.error():
            session.post(f"{stub.url}/drop")

    yield work
    session.close()


def urllib3(stub: Stub) -> Iterator[Callable[[See], None]]:
    import urllib3

    pool = urllib3.PoolManager(retries=urllib3.Retry(2, backoff_factor=0))

    def work(see: See) -> None:
        see(pool.request("POST", f"{stub.url}/ok", json={"a": 1}).json())
        see(pool.request("GET", f"{stub.url}/away").status)
        answer = pool.request("GET", f"{stub.url}/fail", preload_content=False)
        see(answer.status, answer.read())
        answer.release_conn()
        with see.error():
            pool.request("POST", f"{stub.url}/drop")

    yield work
    pool.clear()


def from_urllib(stub: Stub) -> Iterator[Callable[[See], None]]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def work(see: See) -> None:
        with opener.open(urllib.request.Request(f"{stub.url}/ok", b"{}"), timeout=5) as answer:
            see(answer.read())
        with opener.open(f"{stub.url}/away", timeout=5) as answer:
            see(answer.status)
        with see.error():
            opener.open(f"{stub.url}/fail", timeout=5)
        with see.error():
            opener.open(urllib.request.Request(f"{stub.url}/drop", b"{}"), timeout=5)

    yield work


def http_client(stub: Stub) -> Iterator[Callable[[See], None]]:
    def work(see: See) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", stub.port, timeout=5)
        connection.request("POST", "/ok", b"{}", {"Content-Type": "application/json"})
        answer = connection.getresponse()
        see(answer.status, answer.read())
        connection.putrequest("GET", "/fail")
        connection.endheaders()
        see(connection.getresponse().read())
        connection.request("POST", "/drop")
        with see.error():
            connection.getresponse()
        connection.close()

    yield work


async def aiohttp(stub: Stub) -> AsyncIterator[Work]:
    import aiohttp

    session = aiohttp.ClientSession()

    async def work(see: See) -> None:
        async with session.post(f"{stub.url}/ok", json={"a": 1}) as answer:
            see(await answer.json())
        async with session.get(f"{stub.url}/away") as answer:
            see(answer.status)
        with see.error():
            await session.post(f"{stub.url}/drop")

    yield work
    await session.close()


def botocore(stub: Stub) -> Iterator[Callable[[See], None]]:
    import botocore.session
    from botocore.config import Config

    session = botocore.session.Session()
    session.set_credentials("key", "secret")
    config = Config(retries={"total_max_attempts": 1, "mode": "standard"}, s3={"addressing_style": "path"})
    s3: Any = session.create_client("s3", region_name="eu-west-1", endpoint_url=stub.url, config=config)

    def work(see: See) -> None:
        see(s3.get_object(Bucket="shop", Key="lamp.json")["Body"].read())
        with see.error():
            s3.head_bucket(Bucket="fail")
        with see.error():
            s3.get_object(Bucket="shop")

    yield work
    s3.close()


def elasticsearch(stub: Stub) -> Iterator[Callable[[See], None]]:
    import elasticsearch

    es = elasticsearch.Elasticsearch(stub.url, max_retries=0)

    def work(see: See) -> None:
        see(es.search(index="orders", query={"match": {"email": "a"}}).body)
        see(es.index(index="orders", id="42", document={"a": 1}).body)
        with see.error():
            es.get(index="missing", id="1")

    yield work
    es.close()


def pymongo(stub: Stub) -> Iterator[Callable[[See], None]]:
    import pymongo

    client: Any = pymongo.MongoClient(f"mongodb://127.0.0.1:{stub.mongo}/?serverSelectionTimeoutMS=5000")

    def work(see: See) -> None:
        see(list(client.shop.users.find({"a": 1})))
        see(client.shop.users.insert_many([{"_id": 1}, {"_id": 2}]).inserted_ids)
        see(client.shop.users.update_one({"a": 1}, {"$set": {"a": 2}}).modified_count)
        with see.error():
            client.shop.broken.find_one({"a": 1})

    yield work
    client.close()


def redis_sync(stub: Stub) -> Iterator[Callable[[See], None]]:
    import redis

    client: Any = redis.Redis()
    client.ping()

    def work(see: See) -> None:
        see(client.set("brakit:faults", "1"), client.incr("brakit:faults"), client.get("brakit:faults"))
        with client.pipeline() as pipeline:
            pipeline.incr("brakit:faults")
            pipeline.get("brakit:faults")
            see(pipeline.execute())
        with see.error():
            client.lpush("brakit:faults", 1)
        see.did("count", int(client.get("brakit:faults")))
        client.delete("brakit:faults")

    yield work
    client.close()


async def redis_async(stub: Stub) -> AsyncIterator[Work]:
    import redis.asyncio

    client: Any = redis.asyncio.Redis()

    async def work(see: See) -> None:
        see(await client.set("brakit:faults2", "1"), await client.incr("brakit:faults2"))
        async with client.pipeline(transaction=True) as pipeline:
            pipeline.incr("brakit:faults2")
            see(await pipeline.execute())
        with see.error():
            await client.lpush("brakit:faults2", 1)
        see.did("count", int(await client.get("brakit:faults2")))
        await client.delete("brakit:faults2")

    yield work
    await client.aclose()


def niquests(stub: Stub) -> Iterator[Callable[[See], None]]:
    import niquests

    session = niquests.Session()
    session.trust_env = False

    def work(see: See) -> None:
        see(session.post(f"{stub.url}/ok", json={"a": 1}).json())
        see(session.get(f"{stub.url}/away").status_code)
        with see.error():
            session.post(f"{stub.url}/drop")

    yield work
    session.close()


APPS = [
    App("httpx", calling(httpx_sync), ("httpx.py",), ("_fetch.py",)),
    App("httpx async", awaiting(httpx_async), ("httpx.py",)),
    App("requests", calling(requests), ("requests.py",)),
    App("urllib3", calling(urllib3), ("urllib3.py",)),
    App("urllib", calling(from_urllib), ("urllib.py",)),
    App("http", calling(http_client), ("http.py",)),
    App("aiohttp", awaiting(aiohttp), ("aiohttp.py",)),
    App("niquests", calling(niquests), ("niquests.py",)),
    App("botocore", calling(botocore), ("botocore.py",)),
    App("elastic_transport", calling(elasticsearch), ("elastic_transport.py",), ("_documents.py",)),
    App("pymongo", calling(pymongo), ("pymongo.py",)),
    App("redis", calling(redis_sync), ("redis.py",)),
    App("redis async", awaiting(redis_async), ("redis.py",)),
]
