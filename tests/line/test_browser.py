"""The dashboard in a real browser: a request arrives live, is opened, and leads to the line of code of its query."""

from __future__ import annotations

import os
import re
import shutil
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.line.processes import Process, Server, free_port, listens, wait_for

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian's package `chromium`)")

# Without these, Chromium asks hosts of its maker at every start.
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip

APP = """
import brakit
import json, logging, sys, urllib.request
import uvicorn
from fastapi import BackgroundTasks, FastAPI
from sqlalchemy import create_engine, text

app = FastAPI()
engine = create_engine("sqlite://")

def load_item(connection, number):
    return connection.execute(text("SELECT :number AS number"), {"number": number}).one()

@app.get("/orders/{number}")
def order(number: int):
    logging.getLogger("shop").warning("order %s was asked for", number)
    with engine.connect() as connection:
        return {"items": [load_item(connection, index)[0] for index in range(8)]}

@app.get("/broken")
def broken():
    try:
        raise LookupError("no such shelf")
    except LookupError:
        logging.getLogger("shop").exception("the shelf is missing")
        raise

@app.get("/stock")
def stock():
    with urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/orders/5") as answer:
        return json.load(answer)

def mail(number):
    raise ConnectionError("the mail server is away")

@app.get("/receipts/{number}")
def receipt(number: int, tasks: BackgroundTasks):
    tasks.add_task(mail, number)
    return {}

uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
"""
LINE = next(number for number, text in enumerate(APP.splitlines(), 1) if "connection.execute" in text)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """A page whose console must stay clean and whose requests must stay at home."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    opened = context.new_page()
    complaints: list[str] = []
    strangers: list[str] = []

    def said(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    def asked(request: Request) -> None:
        if not request.url.startswith((f"http://127.0.0.1:{server.port}/", "data:", "blob:")):
            strangers.append(request.url)

    opened.on("console", said)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", asked)
    yield opened
    context.close()
    assert not complaints
    assert not strangers


@pytest.fixture
def app(server: Server, start: Callable[..., Process], tmp_path: Path) -> str:
    """URL of a small observed app."""
    (tmp_path / "shop.py").write_text(APP)
    port = free_port()
    process = start([sys.executable, "shop.py", str(port)], **server.environment("shop"))
    wait_for(lambda: listens(port), 20, process)
    return f"http://127.0.0.1:{port}"


def get(url: str) -> None:
    try:
        urllib.request.urlopen(url, timeout=10).read()
    except urllib.error.HTTPError as error:
        error.close()


def test_a_request_arrives_live_and_leads_to_its_line(page: Page, server: Server, app: str) -> None:
    page.goto(f"{server.url}/requests")
    expect(page.get_by_role("heading", name="Requests").first).to_be_visible()

    get(f"{app}/orders/41?page=2")
    row = page.get_by_role("row").filter(has_text="/orders/41")
    expect(row).to_be_visible(timeout=5000)
    row.click()

    expect(page).to_have_url(re.compile(r"/__brakit/requests/[0-9a-f]{32}"))
    expect(page.get_by_text("/orders/{number}").first).to_be_visible()
    page.get_by_text(re.compile("SELECT")).first.click()
    expect(page.get_by_text(f"shop.py:{LINE}").first).to_be_visible()
    expect(page.get_by_text("load_item").first).to_be_visible()

    page.reload()
    expect(page.get_by_text("/orders/{number}").first).to_be_visible()
    page.go_back()
    expect(page.get_by_role("row").filter(has_text="/orders/41")).to_be_visible()


def test_a_job_that_failed_is_found_and_leads_to_its_cause_and_back(page: Page, server: Server, app: str) -> None:
    page.goto(f"{server.url}/jobs")
    expect(page.get_by_text("No jobs yet")).to_be_visible()
    get(f"{app}/receipts/7")
    row = page.get_by_role("row").filter(has_text="mail")
    expect(row).to_contain_text("failed", timeout=5000)
    expect(page.get_by_label("1 failed within the last hour")).to_be_visible(timeout=5000)
    row.click()

    expect(page).to_have_url(re.compile(r"/__brakit/jobs/[0-9a-f]{32}"))
    own = page.url
    expect(page.get_by_role("treegrid").get_by_text("the mail server is away").first).to_be_visible()
    page.get_by_role("link", name="enqueued by GET /receipts/7").click()
    expect(page).to_have_url(re.compile(r"/__brakit/requests/[0-9a-f]{32}"))
    page.get_by_role("treegrid").get_by_text("mail", exact=False).first.click()
    page.get_by_role("link", name="Open this job").click()
    expect(page).to_have_url(re.compile(re.escape(own)))

    # A link to the owner of an event need not know that it is a job.
    page.goto(own.replace("/jobs/", "/requests/"))
    expect(page).to_have_url(own)
    page.goto(f"{server.url}/errors")
    page.get_by_role("row").filter(has_text="ConnectionError").click()
    page.get_by_role("link", name="Open the last job").click()
    expect(page).to_have_url(re.compile(re.escape(own)))


def test_every_view_opens_by_its_link_and_shows_what_there_is(page: Page, server: Server, app: str) -> None:
    for number in range(3):
        get(f"{app}/orders/{number}")
    get(f"{app}/broken")
    wait_for(lambda: server.get("insights")["issues"] and server.get("errors")["total"] == 1, 10)
    for path, text in (
        ("", "/orders/{number}"),
        ("/queries", "SELECT"),
        ("/errors", "LookupError"),
        ("/logs", "was asked for"),
        ("/issues", "LookupError"),
    ):
        page.goto(f"{server.url}{path}")
        expect(page.get_by_text(re.compile(re.escape(text))).first).to_be_visible(timeout=5000)


def test_a_log_leads_to_its_error(page: Page, server: Server, app: str) -> None:
    get(f"{app}/broken")
    wait_for(lambda: server.get("errors")["total"] == 1 and server.get("logs")["total"] >= 1, 10)
    page.goto(f"{server.url}/logs?filter=has:error-id")
    page.get_by_role("row").filter(has_text="the shelf is missing").click()
    page.get_by_role("link", name="Its error").click()
    expect(page.get_by_label("Error details")).to_contain_text("no such shelf")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_empty_store_says_what_to_do(browser: Browser, server: Server, scheme: str) -> None:
    context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
    opened = context.new_page()
    opened.goto(server.url)
    expect(opened.get_by_text(re.compile("import brakit")).first).to_be_visible()
    context.close()


def paths(page: Page) -> list[str]:
    """The paths that the list of requests shows, newest first."""
    return page.get_by_role("row").locator("a.path").all_inner_texts()


def test_a_filter_is_completed_applied_live_and_shared(page: Page, server: Server, app: str, browser: Browser) -> None:
    for number in (1, 2):
        get(f"{app}/orders/{number}")
    get(f"{app}/broken")
    wait_for(lambda: server.get("requests")["total"] == 3, 10)
    page.goto(f"{server.url}/requests")
    expect(page.get_by_role("row").filter(has_text="/broken")).to_be_visible()

    box = page.get_by_role("combobox", name="Filter requests")
    page.keyboard.press("/")
    box.press_sequentially("stat")
    expect(box).to_have_attribute("aria-expanded", "true")
    expect(page.get_by_role("option").first).to_contain_text("status:")
    box.press("Tab")
    expect(box).to_have_value("status:")
    # Values that were seen come with how often they were.
    seen = page.get_by_role("option").filter(has_text="500")
    expect(seen).to_contain_text("1×")
    box.press_sequentially("50")
    expect(page.get_by_role("option")).to_have_count(1)
    box.press("ArrowDown")
    chosen = box.get_attribute("aria-activedescendant")
    assert chosen is not None
    expect(page.locator(f"[id='{chosen}']")).to_have_attribute("aria-selected", "true")
    box.press("Enter")
    expect(box).to_have_value("status:500 ")
    box.press("Escape")
    expect(box).to_have_attribute("aria-expanded", "false")
    expect(box).to_be_focused()
    box.press("Enter")
    expect(page).to_have_url(f"{server.url}/requests?filter=status%3A500")
    expect(page.get_by_text("1 request", exact=True)).to_be_visible()
    assert paths(page) == ["/broken"]

    # What arrives live obeys it: the server is asked for nothing else.
    get(f"{app}/orders/3")
    get(f"{app}/broken")
    expect(page.get_by_text("2 requests", exact=True)).to_be_visible(timeout=5000)
    assert paths(page) == ["/broken", "/broken"]

    # The button beside it writes into the same line.
    page.get_by_role("group", name="Status").get_by_role("button", name="2xx").click()
    expect(box).to_have_value("status:2xx")
    expect(page.get_by_text("3 requests", exact=True)).to_be_visible()
    page.go_back()
    expect(box).to_have_value("status:500")
    expect(page.get_by_text("2 requests", exact=True)).to_be_visible()
    link = page.url
    page.go_back()
    expect(box).to_have_value("")
    expect(page.get_by_text("5 requests", exact=True)).to_be_visible()
    get(f"{app}/orders/4")
    expect(page.get_by_text("6 requests", exact=True)).to_be_visible(timeout=5000)

    # What was used is offered again.
    box.focus()
    expect(page.get_by_role("option").filter(has_text="used before").first).to_contain_text("status:500")

    context = browser.new_context()
    other = context.new_page()
    other.goto(link)
    expect(other.get_by_role("combobox")).to_have_value("status:500")
    expect(other.get_by_text("2 requests", exact=True)).to_be_visible()
    context.close()


def test_a_wrong_filter_is_told_where_it_is_wrong(page: Page, server: Server, app: str) -> None:
    get(f"{app}/orders/1")
    wait_for(lambda: server.get("requests")["total"] == 1, 10)
    page.goto(f"{server.url}/requests")
    box = page.get_by_role("combobox", name="Filter requests")
    box.fill("orders duration>soon")
    box.press("Enter")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("column 17")
    expect(alert.locator("mark")).to_have_text("s")
    expect(box).to_have_attribute("aria-invalid", "true")
    # Nothing has changed by it.
    assert page.url == f"{server.url}/requests"
    assert paths(page) == ["/orders/1"]
    box.fill("orders duration>0ms")
    expect(alert).to_have_count(0)
    box.press("Enter")
    expect(page).to_have_url(f"{server.url}/requests?filter=orders+duration%3E0ms")

    # In a link as well; its console stays clean, and the list shows nothing that was not asked for.
    page.goto(f"{server.url}/logs?filter=level%3A(")
    expect(page.get_by_text("This filter cannot be read")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("column")
    get(f"{app}/orders/2")
    wait_for(lambda: server.get("logs")["total"] >= 2, 10)
    page.get_by_role("button", name="Show all").click()
    expect(page.get_by_text("order 2 was asked for")).to_be_visible()


def test_every_list_takes_a_filter(page: Page, server: Server, app: str) -> None:
    get(f"{app}/orders/1")
    get(f"{app}/broken")
    get(f"{app}/receipts/1")
    get(f"{app}/stock")
    wait_for(lambda: all(server.get(path)["total"] == total for path, total in (("errors", 2), ("jobs", 1), ("fetches", 1))), 10)
    for path, fits, does_not in (
        ("requests", "path:/orders/1 route:/orders/*", "route:/order"),
        ("jobs", "status:failed", "status:succeeded"),
        ("flows", "path:/broken", "path:/bro"),
        ("queries", "sql:number", "table:nothing"),
        ("fetches", "url:orders status:2xx", "status:0"),
        ("errors", "name:LookupError", "name:KeyError"),
        ("logs", 'level>=warn "order 1"', "level:debug"),
    ):
        page.goto(f"{server.url}/{path}?filter={quote(fits)}")
        expect(page.get_by_role("combobox")).to_have_value(fits)
        expect(page.get_by_role("row")).to_have_count(2)
        page.goto(f"{server.url}/{path}?filter={quote(does_not)}")
        expect(page.get_by_text(re.compile("^No .* matches$"))).to_be_visible()
