from __future__ import annotations

from pathlib import Path

import pytest

from brakit import comments
from brakit.client import Client
from brakit.wire import Wire

SOURCE = """\
def orders(session):
    rows = session.all()
    for row in rows:  # brakit: ignore[n1] a list of three
        row.items
        row.more  # brakit: ignore
    return session.execute(
        "SELECT * FROM items "
        "WHERE x = 1",  # brakit: ignore[select-star, slow-query]: by design
        {"a": 1},
    )


# brakit: ignore[error] the line below
def other():
    text = "# brakit: ignore[no] this is no comment"
    # brakit: ignored is another word
    # brakit: ignore[n1] right above
    first(
        text
    )
    second()
    match text:
        # brakit: ignore[x] in a case
        case "a":
            third()
"""
EXPECTED = {
    3: "[n1] a list of three",
    5: "",
    **dict.fromkeys((6, 7, 8, 9, 10), "[select-star, slow-query]: by design"),
    **dict.fromkeys((13, 14), "[error] the line below"),
    **dict.fromkeys((17, 18, 19, 20), "[n1] right above"),
    23: "[x] in a case",
}


@pytest.fixture(autouse=True)
def forgotten() -> None:
    comments.forget()


def test_a_comment_counts_for_its_whole_statement(tmp_path: Path) -> None:
    file = tmp_path / "orders.py"
    file.write_text(SOURCE)
    lines = range(1, SOURCE.count("\n") + 2)
    assert {line: text for line in lines if (text := comments.ignored(str(file), line)) is not None} == EXPECTED


@pytest.mark.parametrize(
    "source",
    [
        b"# brakit: ignore[n1]\ndef (:\n",
        b"x = '''\n# brakit: ignore\n",
        b"\xff\xfe# brakit: ignore\n",
        b"# brakit: ignore\0\n",
        b"# -*- coding: nonsense -*-\nx = 1  # brakit: ignore\n",
        b"x = 1\n" * 400_000 + b"# brakit: ignore\n",
        b"(" * 100_000 + b"# brakit: ignore\n",
    ],
)
def test_files_that_are_no_python_say_nothing(tmp_path: Path, source: bytes) -> None:
    file = tmp_path / "odd.py"
    file.write_bytes(source)
    assert comments.ignored(str(file), 1) is None


def test_files_that_are_none_say_nothing(tmp_path: Path) -> None:
    for name in (str(tmp_path), str(tmp_path / "none.py"), "<string>", "", "a\0b", "/dev/null"):
        assert comments.ignored(name, 1) is None


def test_another_encoding(tmp_path: Path) -> None:
    file = tmp_path / "latin.py"
    file.write_bytes("# -*- coding: latin-1 -*-\nx = 1  # brakit: ignore[n1] schön\n".encode("latin-1"))
    assert comments.ignored(str(file), 2) == "[n1] schön"


def test_a_file_is_read_once(tmp_path: Path) -> None:
    file = tmp_path / "once.py"
    file.write_text("x = 1  # brakit: ignore\n")
    assert comments.ignored(str(file), 1) == ""
    file.unlink()
    assert comments.ignored(str(file), 1) == ""


def test_what_a_comment_says_is_sent_with_the_call_site(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "shop.py"
    file.write_text(
        "def list_orders():\n    return run(\n        'SELECT 1',\n    )  # brakit: ignore[n1] password=hunter2hunter2\n"
    )
    code = compile(file.read_text(), str(file), "exec").co_consts[0]
    site = Wire(client).site((code, 2))
    assert (site["line"], site["ignore"]) == (2, "[n1] password=****")
    assert "ignore" not in Wire(client).frames([(code, 2)])[0]
    assert Wire(client).place((str(file), 3, "list_orders"))["ignore"] == "[n1] password=****"
    assert "ignore" not in Wire(client).site((code, 1))
