from __future__ import annotations

from typing import Any

import pytest

from brakit_server.analysis.labels import category_of, effective_path, label_of, page_name, page_of, pretty

HTML = {"content-type": "text/html"}
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("fields", "category", "label"),
    [
        ({"path": "/a.css", "is_static": True}, "static", "Static: a.css"),
        ({"path": "/health", "is_health_check": True}, "health-check", "GET /health"),
        ({"path": "/", "status": 307, "url": "/?__clerk_handshake=1"}, "auth-handshake", "Auth handshake"),
        ({"path": "/api/auth/session"}, "auth-check", "Checked auth"),
        ({"path": "/api/Auth/session", "status": 401}, "auth-check", "Auth check failed"),
        ({"path": "/cart", "method": "POST", "response_headers": HTML}, "server-action", "Cart"),
        ({"path": "/api/orders", "method": "POST"}, "api-call", "Created Order"),
        ({"path": "/orders", "method": "POST", "response_headers": JSON}, "api-call", "Created Order"),
        ({"path": "/api/orders/7", "method": "DELETE", "status": 500}, "api-call", "Deleted Order 7 failed"),
        ({"path": "/api/upload-image", "method": "POST"}, "api-call", "Uploaded Upload-image"),
        ({"path": "/api/categories"}, "data-fetch", "Loaded Category"),
        ({"path": "/products", "response_headers": JSON}, "data-fetch", "Loaded Product"),
        ({"path": "/api/items", "status": 404}, "data-fetch", "Failed to load Item"),
        ({"path": "/shop", "url": "/shop?_rsc=1"}, "navigation", "Navigated"),
        ({"path": "/old", "response_headers": {"x-middleware-rewrite": "http://h/new?a=1"}}, "middleware", "Redirected to /new"),
        ({"path": "/", "response_headers": HTML}, "page-load", "Loaded page"),
        ({"path": "/x", "response_headers": HTML, "status": 404}, "page-load", "Page error"),
        ({"path": "/robots.txt"}, "unknown", "GET /robots.txt"),
    ],
)
def test_categories_and_labels(make: Any, fields: dict[str, Any], category: str, label: str) -> None:
    request = make.request(**{"url": fields["path"], **fields})
    assert category_of(request) == category
    assert label_of(request, category) == label


def test_long_paths_lose_their_ids() -> None:
    assert pretty("/api/users/550e8400-e29b-41d4-a716-446655440000/orders") == "User order"
    assert pretty("/") == "Data"
    assert pretty("/api/addresses") == "Addresses"


def test_names_of_pages() -> None:
    assert [page_name(path) for path in ("/", "/order-history", "/shop/new_items/")] == [
        "Home",
        "Order History",
        "Shop New Items",
    ]


def test_hostile_addresses_do_no_harm(make: Any) -> None:
    request = make.request(headers={"referer": "http://[::bad/x"}, response_headers={"x-middleware-rewrite": "http://[::bad"})
    assert page_of(request) == "/"
    assert effective_path(request) == "/orders"
