"""Large documents, and large answers that are none."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]


def _answers(make: Any, sizes: list[int], kind: str = "application/json", **more: Any) -> list[Any]:
    entries = []
    headers = {"content-type": kind, **more.pop("response_headers", {})}
    for n, size in enumerate(sizes):
        make.now += 1000
        entries.append(make.request(f"r{n}", response_size=size, response_headers=headers, **more))
    return entries


def json(make: Any) -> Labelled:
    return _answers(make, [400_000] * 3), [("large-response", "info", ("400 KB", "median of the last 3"))]


def json_of_megabytes(make: Any) -> Labelled:
    return _answers(make, [2_500_000] * 4), [("large-response", "warning", ("2.5 MB", "pages"))]


def html(make: Any) -> Labelled:
    return _answers(make, [700_000] * 3, "text/html; charset=utf-8"), [("large-response", "info")]


def geojson(make: Any) -> Labelled:
    return _answers(make, [1_200_000] * 3, "application/geo+json"), [("large-response", "warning", ("1.2 MB",))]


def xml(make: Any) -> Labelled:
    return _answers(make, [350_000] * 5, "application/xml"), [("large-response", "info")]


def that_grows(make: Any) -> Labelled:
    return _answers(make, [100_000, 300_000, 500_000, 800_000, 900_000]), [("large-response", "info", ("500 KB",))]


def with_many_rows(make: Any) -> Labelled:
    entries = _answers(make, [400_000] * 3)
    rows = [
        make.query("SELECT id, name FROM items LIMIT ?", "p", owner=r.id, row_count=450, timestamp=r.timestamp + 1)
        for r in entries
    ]
    return entries + rows, [("large-response", "info", ("450 rows",))]


def not_a_file(make: Any) -> Labelled:
    return _answers(make, [5_000_000] * 5, "application/pdf"), []


def not_an_image(make: Any) -> Labelled:
    return _answers(make, [5_000_000] * 5, "image/png"), []


def not_a_table_to_download(make: Any) -> Labelled:
    return _answers(make, [5_000_000] * 5, "text/csv"), []


def not_an_attachment(make: Any) -> Labelled:
    return _answers(make, [5_000_000] * 5, response_headers={"content-disposition": 'attachment; filename="all.json"'}), []


def not_one_among_small_ones(make: Any) -> Labelled:
    return _answers(make, [2_000, 3_000, 4_000_000, 2_000, 2_500]), []


def not_two(make: Any) -> Labelled:
    return _answers(make, [900_000] * 2), []


def not_an_ordinary_page(make: Any) -> Labelled:
    return _answers(make, [120_000] * 10, "text/html"), []


def not_an_open_stream(make: Any) -> Labelled:
    return _answers(make, [900_000] * 5, "text/event-stream"), []


def not_an_error_page(make: Any) -> Labelled:
    return _answers(make, [900_000] * 4, "text/html", status=404), []
