"""The revision of a checkout, read from its files: what git itself says is the measure."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from brakit.revision import revision_of

ONE = "1" * 40


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.test", "-c", "commit.gpgsign=false", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    assert shutil.which("git"), "the tests of this file need git"
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q")
    git(folder, "commit", "-q", "--allow-empty", "-m", "one")
    return folder


def test_it_is_what_git_says(checkout: Path) -> None:
    (checkout / "src" / "app").mkdir(parents=True)
    head = git(checkout, "rev-parse", "HEAD")
    assert revision_of(str(checkout)) == revision_of(str(checkout / "src" / "app")) == head
    git(checkout, "pack-refs", "--all")
    assert not (checkout / ".git/refs/heads/main").exists()
    assert revision_of(str(checkout)) == head
    git(checkout, "commit", "-q", "--allow-empty", "-m", "two")
    assert revision_of(str(checkout)) == git(checkout, "rev-parse", "HEAD") != head
    git(checkout, "checkout", "-q", "--detach", head)
    assert revision_of(str(checkout)) == head


def test_a_worktree_has_its_own(checkout: Path, tmp_path: Path) -> None:
    git(checkout, "worktree", "add", "-q", "-b", "other", str(tmp_path / "tree"))
    git(tmp_path / "tree", "commit", "-q", "--allow-empty", "-m", "two")
    assert (
        revision_of(str(tmp_path / "tree")) == git(tmp_path / "tree", "rev-parse", "HEAD") != git(checkout, "rev-parse", "HEAD")
    )
    git(checkout, "pack-refs", "--all")
    assert revision_of(str(tmp_path / "tree")) == git(tmp_path / "tree", "rev-parse", "HEAD")


@pytest.mark.parametrize(
    "head",
    [
        "",
        "ref: refs/heads/main",
        "ref: ../../secret",
        "ref: /etc/passwd",
        "ref: HEAD",
        "not a revision",
        "1" * 39,
        "\0",
        "ref:",
        "é" * 40,
    ],
)
def test_what_makes_no_sense_is_none(tmp_path: Path, head: str) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "secret").write_text(ONE)
    (tmp_path / ".git" / "HEAD").write_text(head)
    assert revision_of(str(tmp_path)) is None


def test_bytes_that_are_no_text_and_folders_in_the_place_of_files_are_none(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_bytes(b"\xff\xfe")
    assert revision_of(str(tmp_path)) is None
    (tmp_path / ".git" / "HEAD").unlink()
    (tmp_path / ".git" / "HEAD").mkdir()
    assert revision_of(str(tmp_path)) is None


def test_without_a_checkout_there_is_none() -> None:
    assert revision_of("/") is None
