"""A page of another site, in a real browser, beside a server: it reads nothing, and changes nothing. And how a person logs in."""

from __future__ import annotations

import contextlib
import http.server
import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from playwright.sync_api import Error as PlaywrightError
from starlette.routing import Route

from brakit_server import api
from tests.line.processes import Process, Server, free_port, wait_for
from tests.line.test_browser import CHROMIUM, QUIET

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian's package `chromium`)")

READ, WRITE = "r" * 43, "w" * 43
PATHS = [
    "/__brakit",
    *(f"/__brakit/api{route.path.replace('{id}', '1' * 32)}" for route in api.routes() if isinstance(route, Route)),
]
FORGED = json.dumps(
    {"_brakit": True, "version": 1, "events": [{"type": "log", "timestamp": 1, "data": {"level": "error", "message": "forged"}}]}
)
ATTACK = """
async ([home, paths, body]) => {
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  const read = [];
  const element = (name, attributes) => Object.assign(document.body.appendChild(document.createElement(name)), attributes);
  for (const path of paths) {
    const url = home + path;
    for (const mode of ['cors', 'no-cors'])
      for (const method of ['GET', 'POST', 'DELETE'])
        for (const type of ['text/plain', 'application/json'])
          try {
            const found = await fetch(url, { mode, method, credentials: 'include',
              ...(method === 'GET' ? {} : { body, headers: { 'content-type': type } }), signal: AbortSignal.timeout(1500) });
            if (found.type !== 'opaque') read.push([method, url, found.status]);
          } catch {}
    navigator.sendBeacon(url, new Blob([body], { type: 'text/plain' }));
    element('img', { src: url, onload: () => read.push(['img', url]) });
    element('script', { src: url, onload: () => read.push(['script', url]) });
    element('link', { rel: 'stylesheet', href: url, onload: () => read.push(['style', url]) });
    const frame = element('iframe', { name: 'f' + path, src: url });
    const form = element('form', { action: url, method: 'post', enctype: 'text/plain', target: 'f' + path });
    form.appendChild(Object.assign(document.createElement('input'), { name: body.slice(0, -1) + ',"x":"', value: '"}' }));
    form.submit();
    const stream = new EventSource(url, { withCredentials: true });
    stream.onmessage = stream.onopen = () => read.push(['stream', url]);
    const socket = new WebSocket(url.replace('http', 'ws'));
    socket.onopen = () => read.push(['socket', url]);
    await wait(5);
    stream.close();
    frame.remove();
  }
  await wait(500);
  return read;
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield running
        running.close()


@pytest.fixture
def site() -> Iterator[str]:
    """The address of a page of another site: `localhost` is one to a browser that looks at 127.0.0.1."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<!doctype html><title>elsewhere</title><body>"
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield f"http://localhost:{served.server_address[1]}/"
    served.shutdown()
    served.server_close()


def test_a_page_elsewhere_reads_and_changes_nothing(browser: Browser, server: Server, site: str) -> None:
    assert server.post(FORGED.replace("forged", "ours").encode()) == 204
    context = browser.new_context()
    page = context.new_page()
    page.goto(site)
    # In this page the same call gets through when it asks its own server: what stops it below is ours.
    assert page.evaluate("fetch('/').then((answer) => answer.status)") == 200
    refused = server.get("health")["refused"]
    read = page.evaluate(ATTACK, [f"http://127.0.0.1:{server.port}", PATHS, FORGED])
    context.close()
    assert read == []
    after = server.get("health")
    assert sum(after["refused"].values()) - sum(refused.values()) > 3 * len(PATHS)
    assert server.get("logs?search=forged")["total"] == 0
    assert server.get("logs?search=ours")["total"] == 1


def test_a_person_logs_in_once(browser: Browser, start: Callable[..., Process], site: str, tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n[tool.brakit]\nallowed-hosts = ['127.0.0.1']\n")
    command = [sys.executable, "-m", "brakit_server.cli", "serve", "--host", "0.0.0.0", "--port", str(port)]
    process = start(command, "server", BRAKIT_READ_TOKEN=READ, BRAKIT_WRITE_TOKEN=WRITE)
    wait_for((tmp_path / ".brakit/port").exists, 20, process)
    home = f"http://127.0.0.1:{port}/__brakit"
    context = browser.new_context()
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{home}/logs?level=error")
    field = page.get_by_label("Read token")
    field.fill(WRITE)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_have_text("That is not the read token")
    field.fill(READ)
    field.press("Enter")
    # It goes on to where the link led.
    expect(page.get_by_role("heading", name="Logs").first).to_be_visible(timeout=10_000)
    expect(page).to_have_url(f"{home}/logs?level=error")
    assert page.evaluate("document.cookie") == ""
    assert not any(token in url for token in (READ, WRITE) for url in asked)
    assert READ not in page.content()
    (cookie,) = context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (
        f"brakit-{port}",
        True,
        "Strict",
        "/__brakit",
    )

    # A link from another site comes without the cookie; the page sees that there is one and goes on.
    page.goto(site)
    follow = "(url) => { const a = document.createElement('a'); a.href = url; document.body.append(a); a.click(); }"
    page.evaluate(follow, f"{home}/errors")
    expect(page.get_by_role("heading", name="Errors").first).to_be_visible(timeout=10_000)

    # The log-in ends while the dashboard is open.
    context.clear_cookies()
    with contextlib.suppress(PlaywrightError):
        # A call that the page makes by itself may have been faster.
        page.get_by_role("link", name="Queries").first.click(timeout=2_000)
    expect(page.get_by_label("Read token")).to_be_visible(timeout=10_000)
    context.close()
    assert process.stop() == 0
    assert not any(token in process.text() for token in (READ, WRITE))
