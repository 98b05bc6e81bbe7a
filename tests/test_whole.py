"""A file is replaced as a whole or left as it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crossnn.runs.whole import write_whole


def test_a_file_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "report.md"
    for text in ("first", "the second, which is longer"):
        write_whole(file, text)
        assert file.read_text("utf-8") == text
    assert os.listdir(tmp_path) == ["report.md"]
    assert file.stat().st_mode & 0o777 == 0o644


def test_who_fails_while_writing_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "machine.json"
    write_whole(file, "old")

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(file, "new")
    assert file.read_text("utf-8") == "old"
    assert os.listdir(tmp_path) == ["machine.json"]


def test_what_is_no_regular_file_is_written_as_it_is() -> None:
    write_whole(Path("/dev/null"), "gone")
    assert not Path("/dev/null").is_file()
