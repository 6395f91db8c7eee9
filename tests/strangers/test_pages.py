"""Hostile content in a real browser: 71 payloads in every captured field, through every view and live. Nothing runs, nothing is
fetched, the page's policy has nothing to report and the console nothing to say."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, Request, Route, expect, sync_playwright

from tests.line.processes import Server
from tests.line.test_browser import CHROMIUM, QUIET
from tests.strangers.payloads import ALL, MARKUP, events

ROOT = Path(__file__).resolve().parent.parent.parent
LONG = os.environ.get("BRAKIT_LONG") == "1"
OPENED = len(ALL) if LONG else 2
"""Rows of each view that are opened."""

VIEWS = sorted(
    re.findall(r"path: '([^']*)'", "".join(file.read_text() for file in (ROOT / "dashboard/src/views").glob("*.svelte")))
)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian's package `chromium`)"),
    pytest.mark.timeout(1800 if LONG else 240),
]


SHOWN = re.compile(r"mark\d+ |pwned|strangers\.test")
"""What is seen of a payload; the shape of a statement has other names than the statement."""

SCHEMES = """
() => [...document.querySelectorAll('[href],[src],[action],[formaction],[data],[srcdoc],[poster]')].flatMap((element) =>
  ['href', 'src', 'action', 'formaction', 'data', 'srcdoc', 'poster']
    .filter((name) => element.hasAttribute(name))
    .map((name) => new URL(element.getAttribute(name), location.href).protocol))
"""
"""What the links and sources of a page lead to."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield running
        running.close()


class Watch:
    """A page, and all that it said, asked for or was stopped from doing."""

    def __init__(self, context: BrowserContext, home: str) -> None:
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self._home = home
        self.page.on("console", lambda message: self.complaints.append(f"console: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("dialog", self._dialog)
        self.page.on("popup", lambda popup: self.complaints.append(f"popup: {popup.url}"))
        self.page.on("request", self._request)
        self.page.route(re.compile(r"^https?://(?!127\.0\.0\.1)"), self._far)
        self.page.add_init_script(
            "addEventListener('securitypolicyviolation', (event) => "
            "(globalThis.violations ??= []).push(event.violatedDirective + ' ' + event.blockedURI))"
        )

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self._home, "data:", "blob:")):
            self.asked.append(request.url)

    def _dialog(self, dialog: Dialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _far(self, route: Route) -> None:
        route.abort()

    def check(self, where: str) -> None:
        """Nothing has happened."""
        assert self.page.evaluate("[globalThis.pwned, globalThis.violations, ({}).pwned]") == [None, None, None], where
        assert (self.complaints, self.asked) == ([], []), where
        assert set(self.page.evaluate(SCHEMES)) <= {"http:", "https:", "vscode:"}, where
        assert self.page.url.startswith(self._home), where


@pytest.fixture
def watch(browser: Browser, server: Server) -> Iterator[Watch]:
    # So high that the tables, which draw what can be seen, draw all of it.
    context = browser.new_context(viewport={"width": 1400, "height": 4500})
    yield Watch(context, f"http://127.0.0.1:{server.port}/")
    context.close()


def send(server: Server, payloads: list[str], first: int = 1) -> None:
    now = time.time() * 1000 - 2_000
    for number, payload in enumerate(payloads, first):
        # A service's name, and all else that is known of a process, is captured too.
        resource = dict.fromkeys(("service", "host", "runtime", "framework", "root", "sdk", "revision"), payload)
        batch = {
            "_brakit": True,
            "version": 1,
            "sdk": payload,
            "resource": {**resource, "pid": number, "instrumentations": {payload: payload}, "failures": {payload: payload}},
            "dropped": {payload: 1},
            "events": events(payload, number, now),
        }
        assert server.post(json.dumps(batch).encode()) in (204, 400)


def test_most_payloads_do_something_in_a_page_that_lets_them(browser: Browser, server: Server) -> None:
    """Without this the tests below would pass with payloads that are none."""
    context = browser.new_context()
    did: list[str] = []
    tried = MARKUP if LONG else MARKUP[::4]
    for payload in tried:
        # Some lead elsewhere.
        watch = Watch(context, "about:")
        watch.page.set_content(f"<!doctype html><body><p>{payload}</p></body>", wait_until="commit")
        watch.page.wait_for_timeout(40)
        if watch.asked or watch.page.evaluate("globalThis.pwned !== undefined"):
            did.append(payload)
        watch.page.close()
    context.close()
    print(f"{len(did)} of {len(tried)} run or fetch by themselves")
    assert len(did) > len(tried) / 2, sorted(set(tried) - set(did))


def test_nothing_of_it_runs_in_any_view(watch: Watch, server: Server) -> None:
    page = watch.page
    page.goto(f"{server.url}/requests")
    expect(page.get_by_role("heading", name="Requests").first).to_be_visible()
    # Live first: they come in while somebody watches.
    send(server, ALL)
    expect(page.get_by_text(f"mark{len(ALL)} ").first).to_be_attached(timeout=15_000)
    watch.check("live")
    assert len(VIEWS) >= 11
    seen = 0
    for view in VIEWS:
        if ":id" in view:
            continue
        page.goto(f"{server.url}/{view}")
        expect(page.get_by_text(SHOWN).first).to_be_attached(timeout=15_000)
        watch.check(view)
        for row in range(1, OPENED + 1):
            page.goto(f"{server.url}/{view}")
            expect(page.get_by_text(SHOWN).first).to_be_attached(timeout=15_000)
            if page.get_by_role("row").count() <= row:
                # Not every view is a table; the overview's shows the last minute only.
                break
            page.get_by_role("row").nth(row).click()
            page.wait_for_timeout(50)
            watch.check(f"{view}, row {row}")
            seen += 1
    for number in range(1, len(ALL) + 1, 1 if LONG else 18):
        for path in (f"requests/{number:032x}", f"jobs/{number + 0x10_0000:032x}"):
            page.goto(f"{server.url}/{path}")
            expect(page.get_by_text(f"mark{number} ").first).to_be_attached(timeout=15_000)
            watch.check(path)
            rows = page.get_by_role("treegrid").get_by_role("row")
            for row in range(rows.count()):
                rows.nth(row).click()
                watch.check(f"{path}, row {row}")
                seen += 1
    print(f"{len(ALL)} payloads, {len(VIEWS)} views, {seen} rows opened")
    assert seen > 20


def test_nothing_of_it_runs_from_an_address(watch: Watch, server: Server) -> None:
    """Filters, ids and paths stand in the address, which anybody can write into a link."""
    send(server, ALL[:3])
    for payload in ALL if LONG else ALL[::15]:
        text = quote(payload, safe="")
        for path in (
            f"requests?search={text}&filter={text}",
            f"logs?search={text}&level={text}",
            f"requests/{text}?{text}={text}#{payload}",
        ):
            watch.page.goto(f"{server.url}/{path}")
            # The dashboard, or the server's 404 in plain JSON for a path with a line's end in it.
            expect(watch.page.locator("main, body > pre").first).to_be_visible()
            watch.page.wait_for_timeout(50)
            # What is no filter, and what is nowhere, the server refuses with a status, which the browser tells.
            watch.complaints[:] = [text for text in watch.complaints if "Failed to load resource" not in text]
            watch.check(path)
