"""Which revision of the app runs: read from the checkout's own files, since running git costs a process and may ask somebody."""

from __future__ import annotations

import os

MAX_LEVELS = 20
MAX_FILE = 4096
MAX_PACKED = 1_000_000
"""Bytes of packed references that are read."""

MAX_STEPS = 5
"""References that may lead to each other."""


def revision_of(folder: str) -> str | None:
    """The commit that is checked out at `folder` or above it, as 40 or 64 hex digits; None where there is none to be read."""
    try:
        git = _git_folder(os.path.abspath(folder))
        return _head(git) if git is not None else None
    except (OSError, ValueError):
        return None


def _git_folder(folder: str) -> str | None:
    for _ in range(MAX_LEVELS):
        git = os.path.join(folder, ".git")
        if os.path.isdir(git):
            return git
        if os.path.isfile(git):
            # A worktree or submodule says where its repository is.
            name, _, path = _read(git, MAX_FILE).partition(":")
            return os.path.join(folder, path.strip()) if name == "gitdir" else None
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above
    return None


def _head(git: str) -> str | None:
    text = _read(os.path.join(git, "HEAD"), MAX_FILE).strip()
    for _ in range(MAX_STEPS):
        if not text.startswith("ref:"):
            return text if _is_revision(text) else None
        name = text[4:].strip()
        if ".." in name.split("/") or os.path.isabs(name):
            return None
        text = _reference(git, name)
    return None


def _reference(git: str, name: str) -> str:
    folders = [git]
    shared = os.path.join(git, "commondir")
    if os.path.isfile(shared):
        folders.append(os.path.join(git, _read(shared, MAX_FILE).strip()))
    for folder in folders:
        path = os.path.join(folder, *name.split("/"))
        if os.path.isfile(path):
            return _read(path, MAX_FILE).strip()
    for folder in folders:
        path = os.path.join(folder, "packed-refs")
        if os.path.isfile(path):
            for line in _read(path, MAX_PACKED).splitlines():
                revision, _, known = line.partition(" ")
                if known == name:
                    return revision
    return ""


def _read(path: str, limit: int) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read(limit)


def _is_revision(text: str) -> bool:
    return len(text) in (40, 64) and all(letter in "0123456789abcdef" for letter in text)
