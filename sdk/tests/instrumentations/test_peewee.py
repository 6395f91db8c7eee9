"""Peewee: one record for each statement, on every driver, with its model and the attribute that has loaded it."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

import peewee
import pytest
from playhouse import pool  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from brakit.client import Client
    from brakit.context import Owner

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]
    Only = Callable[[], Json]
    InRequest = Callable[[], AbstractContextManager[Owner]]

PREFIX = f"peewee{os.getpid()}"
"""Of tables: more than one run may use a server at a time."""
SYSTEMS = {
    "sqlite3": "sqlite",
    "psycopg2": "postgresql",
    "psycopg": "postgresql",
    "pymysql": "mysql",
}


def line() -> int:
    """The caller's line."""
    return sys._getframe(1).f_lineno


def database(driver: str, folder: Path) -> Any:
    if driver == "sqlite3":
        return peewee.SqliteDatabase(str(folder / "peewee.db"))
    if driver == "pymysql":
        return peewee.MySQLDatabase("test", host="127.0.0.1", user="root")
    choice = {"prefer_psycopg3": True} if driver == "psycopg" else {}
    return peewee.PostgresqlDatabase("test", host="127.0.0.1", user="postgres", **choice)


class Shop:
    """Models of one database: users, their tweets, and tags of tweets."""

    def __init__(self, db: Any) -> None:
        self.db = db

        class User(peewee.Model):
            name = peewee.TextField()

            class Meta:
                database = db
                table_name = f"{PREFIX}_user"

        class Tag(peewee.Model):
            name = peewee.TextField()

            class Meta:
                database = db
                table_name = f"{PREFIX}_tag"

        class Tweet(peewee.Model):
            user = peewee.ForeignKeyField(User, backref="tweets")
            text = peewee.TextField()
            tags = peewee.ManyToManyField(Tag, backref="tweets")

            class Meta:
                database = db
                table_name = f"{PREFIX}_tweet"

        self.user: Any = User
        self.tweet: Any = Tweet
        self.tag: Any = Tag
        tags: Any = Tweet.tags
        self.models = [User, Tag, Tweet, tags.get_through_model()]

    def fill(self) -> None:
        self.db.drop_tables(self.models, safe=True)
        self.db.create_tables(self.models)
        for number in range(3):
            user = self.user.create(name=f"u{number}")
            tweet = self.tweet.create(user=user, text="hello")
            tweet.tags.add(self.tag.create(name=f"t{number}"))


@pytest.fixture(params=SYSTEMS)
def driver(request: pytest.FixtureRequest, reachable: Callable[[str, int], None]) -> str:
    name: str = request.param
    if name == "pymysql":
        reachable("MariaDB", 3306)
    elif name != "sqlite3":
        reachable("PostgreSQL", 5432)
    if name == "psycopg" and not hasattr(peewee, "psycopg"):
        pytest.skip("this release of Peewee does not know psycopg 3")
    return name


@pytest.fixture
def shop(client: Client, driver: str, tmp_path: Path) -> Iterator[Shop]:
    made = Shop(database(driver, tmp_path))
    made.db.connect()
    made.fill()
    client.buffer.records.clear()
    yield made
    with contextlib.suppress(peewee.PeeweeException):
        made.db.drop_tables(made.models)
    made.db.close()


def test_one_event_for_each_statement(shop: Shop, driver: str, events: Events, in_request: InRequest) -> None:
    user = shop.user
    with in_request() as owner:
        assert [row.name for row in user.select().where(user.id > 1).order_by(user.id)] == ["u1", "u2"]
        here = line() - 1
        made = user.create(name="new")
        assert user.update(name="other").where(user.id == made.id).execute() == 1
        made.delete_instance()
        assert user.select().count() == 3
        assert shop.db.execute_sql(f"SELECT name FROM {PREFIX}_user ORDER BY id").fetchone() == ("u0",)
        assert len(list(user.raw(f"SELECT * FROM {PREFIX}_user"))) == 3
    found = events()
    datas = [event["data"] for event in found]
    assert {event["parentId"] for event in found} == {owner.id}
    assert [data["operation"] for data in datas] == ["SELECT", "INSERT", "UPDATE", "DELETE", "SELECT", "SELECT", "SELECT"]
    assert [data.get("model") for data in datas] == ["User"] * 5 + [None, "User"]
    assert [data["rowCount"] for data in datas][::2] == [2, 1, 1, 3]
    assert [data["callsite"]["line"] for data in datas] == [here, *range(here + 2, here + 8)]
    assert {data["callsite"]["file"].rpartition("/")[2] for data in datas} == {"test_peewee.py"}
    assert {data["source"] for data in datas} == {"peewee"}
    assert {data["system"] for data in datas} <= {SYSTEMS[driver], "mariadb"}
    assert len({data["connectionId"] for data in datas}) == 1
    assert all("lazyLoad" not in data for data in datas)


def test_an_attribute_that_loads_is_named(shop: Shop, events: Events) -> None:
    tweets = list(shop.tweet.select())
    events()
    for tweet in tweets:
        assert tweet.user.name
        here = line() - 1
        assert tweet.user.name
    datas = [event["data"] for event in events()]
    assert [(data["lazyLoad"], data["model"], data["callsite"]["line"]) for data in datas] == [("Tweet.user", "User", here)] * 3
    user = shop.user.get()
    events()
    assert [tweet.text for tweet in user.tweets] == ["hello"]
    assert [tag.name for tag in tweets[0].tags] == ["t0"]
    assert len(user.tweets) == 1
    datas = [event["data"] for event in events()]
    assert [data["lazyLoad"] for data in datas] == ["User.tweets", "Tweet.tags", "User.tweets"]
    assert [data["model"] for data in datas] == ["Tweet", "Tag", "Tweet"]


def test_what_is_asked_for_is_no_lazy_load(shop: Shop, events: Events) -> None:
    user, tweet = shop.user, shop.tweet
    for one in tweet.select(tweet, user).join(user):
        assert one.user.name
    for other in peewee.prefetch(user.select(), tweet.select()):
        assert len(other.tweets) == 1
    first = user.get()
    assert first.tweets.count() == 1
    assert list(first.tweets.where(tweet.text == "nothing")) == []
    alias = user.alias()
    assert len(list(alias.select())) == 3
    datas = [event["data"] for event in events()]
    assert len(datas) == 7
    assert all("lazyLoad" not in data for data in datas)
    assert datas[-1]["model"] == "User"


def test_transactions_and_savepoints_are_marks(shop: Shop, events: Events) -> None:
    with shop.db.atomic():
        here = line() - 1
        shop.user.create(name="a")
        with shop.db.atomic():
            shop.user.create(name="b")
        with contextlib.suppress(KeyError), shop.db.atomic():
            shop.user.create(name="c")
            raise KeyError
    datas = [event["data"] for event in events()]
    marks = [data.get("transactionMark") for data in datas]
    assert marks == ["begin", None, "savepoint", None, "release", "savepoint", None, "rollback_to", "commit"]
    assert {data["source"] for data in datas} == {"peewee"}
    assert len({data.get("transactionId") for data in datas}) == 1
    assert "transactionId" in datas[0]
    assert datas[0]["callsite"]["line"] == here
    with contextlib.suppress(KeyError), shop.db.atomic():
        shop.user.create(name="d")
        raise KeyError
    datas = [event["data"] for event in events()]
    assert [data.get("transactionMark") for data in datas] == ["begin", None, "rollback"]
    assert [row.name for row in shop.user.select().where(shop.user.name << ["a", "b", "c", "d"]).order_by(shop.user.id)] == [
        "a",
        "b",
    ]


def test_failures_are_recorded_and_stay_themselves(shop: Shop, only: Only) -> None:
    class Missing(peewee.Model):
        class Meta:
            database = shop.db
            table_name = "peewee_nowhere"

    with pytest.raises(peewee.PeeweeException) as wrong:
        list(Missing.select())
    here = line() - 1
    data = only()
    assert "peewee_nowhere" in data["error"]
    assert data["callsite"]["line"] == here
    assert (data["model"], data["source"]) == ("Missing", "peewee")
    assert isinstance(wrong.value, peewee.OperationalError | peewee.ProgrammingError)
    shop.db.execute_sql("SELECT 1")
    assert "model" not in only()


def test_statements_of_the_driver_stay_the_drivers(shop: Shop, driver: str, only: Only) -> None:
    list(shop.user.select())
    only()
    cursor = shop.db.connection().cursor()
    cursor.execute("SELECT 1")
    cursor.fetchall()
    data = only()
    assert data["source"] == driver
    assert "model" not in data


@pytest.mark.parametrize("driver", ["pymysql"], indirect=True)
def test_every_statement_reaches_the_server_once(shop: Shop, events: Events) -> None:
    def selects() -> int:
        return int(shop.db.execute_sql("SHOW SESSION STATUS LIKE 'Com_select'").fetchone()[1])

    before = selects()
    events()
    for tweet in shop.tweet.select():
        assert tweet.user.name
        assert len(tweet.tags) == 1
    assert len(events()) == 7
    assert selects() == before + 7


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"], indirect=True)
def test_every_statement_reaches_postgresql_once(shop: Shop, events: Events) -> None:
    shop.db.execute_sql("CREATE TEMPORARY SEQUENCE calls")
    events()
    for number in range(1, 6):
        assert shop.user.select(peewee.fn.nextval("calls")).limit(1).scalar() == number
    assert len(events()) == 5


def test_threads_keep_their_owners(shop: Shop, events: Events, in_request: InRequest) -> None:
    owners: dict[int, str] = {}

    def work(number: int) -> None:
        with shop.db.connection_context(), in_request() as owner:
            owners[number] = owner.id
            for _ in range(3):
                list(shop.user.select().where(shop.user.id == number).limit(number))
                assert shop.tweet.get().user.name

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [event for event in events() if event["data"].get("model")]
    assert len(found) == 4 * 9
    assert {event["parentId"] for event in found} == set(owners.values())
    for owner in owners.values():
        own = [event["data"] for event in found if event["parentId"] == owner]
        assert [data.get("lazyLoad") for data in own] == [None, None, "Tweet.user"] * 3


def test_the_wait_for_a_pooled_connection_is_a_span(
    client: Client, tmp_path: Path, events: Events, in_request: InRequest
) -> None:
    db = pool.PooledSqliteDatabase(str(tmp_path / "pool.db"), max_connections=1, timeout=5, check_same_thread=False)
    db.connect()
    taken = threading.Event()
    recorded: list[Json] = []

    def wait() -> None:
        taken.set()
        with in_request(), db.connection_context():
            db.execute_sql("SELECT 1").fetchall()

    thread = threading.Thread(target=wait)
    thread.start()
    taken.wait()
    # Longer than the wait that is worth a record; a quick thread is still before it.
    thread.join(0.2)
    db.close()
    thread.join()
    recorded = events()
    assert [event["type"] for event in recorded] == ["span", "db.query"]
    span = recorded[0]
    assert span["data"]["name"] == "wait for a connection"
    assert span["data"]["attributes"] == {"system": "sqlite", "source": "peewee"}
    assert span["data"]["duration"] > 1
    assert span["data"]["callsite"]["file"].endswith("test_peewee.py")
    with db.connection_context():
        assert events() == []
    impatient = pool.PooledSqliteDatabase(str(tmp_path / "pool.db"), max_connections=1)
    impatient.connect()
    failures: list[BaseException] = []

    def wait_in_vain() -> None:
        try:
            impatient.connect()
        except pool.MaxConnectionsExceeded as error:
            failures.append(error)

    thread = threading.Thread(target=wait_in_vain)
    thread.start()
    thread.join()
    impatient.close()
    impatient.close_all()
    db.close_all()
    assert len(failures) == 1
    (event,) = events()
    assert event["data"]["error"].startswith("MaxConnectionsExceeded")


def test_shutdown_puts_every_original_back(client: Client, shop: Shop, events: Events) -> None:
    places: list[tuple[Any, str]] = [
        (peewee.Database, "execute_sql"),
        (peewee.Database, "commit"),
        (peewee.SqliteDatabase, "begin"),
        (peewee.BackrefAccessor, "__get__"),
    ]
    originals = [vars(holder)[name].__wrapped__ for holder, name in places]
    client.shutdown(0.0)
    assert all(vars(holder)[name] is original for (holder, name), original in zip(places, originals, strict=True))
    assert shop.tweet.get().user.name
    assert events() == []
