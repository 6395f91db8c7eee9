from __future__ import annotations

from typing import Any

import pytest

from brakit_server.analysis.endpoint import key_of, templated


@pytest.mark.parametrize(
    "part",
    ["17", "550e8400-e29b-41d4-a716-446655440000", "507f1f77bcf86cd799439011", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "0" * 12],
)
def test_ids_are_replaced(part: str) -> None:
    assert templated(f"/items/{part}/edit") == "/items/:id/edit"


@pytest.mark.parametrize(
    "part", ["oauth2callback", "report2024", "deadbeefcafe", "v2", "item-17", "a1b2c3", "", "été1", "\u0661\u0662"[:0]]
)
def test_names_stay(part: str) -> None:
    assert templated(f"/items/{part}") == f"/items/{part}"


def test_the_route_wins_over_the_path(make: Any) -> None:
    assert key_of(make.request(route="/items/{id}", path="/items/5")) == "GET /items/{id}"
    assert key_of(make.request(route=None, path="/items/5", method="PUT")) == "PUT /items/:id"
    assert key_of(make.request(route=None, path="", url="/items/5?page=2")) == "GET /items/:id"
