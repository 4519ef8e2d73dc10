"""What docs/tour.md shows is what its commands print, in a terminal as wide as the one it was captured from."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import pty
import re
import shutil
import struct
import subprocess
import termios
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import skip_or_fail

DOCS = Path(__file__).parent.parent.parent / "docs"
NEEDED = ("git", "gcc", "pre-commit")


@pytest.fixture(scope="module")
def tour() -> ModuleType:
    """The script, which is no package."""
    spec = importlib.util.spec_from_file_location("tour", DOCS / "tour.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shown(command: str, folder: Path, variables: dict[str, str], columns: int) -> str:
    """What a terminal of so many columns shows of a command's output."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = subprocess.Popen(
        ["bash", "-c", command], cwd=folder, env=variables, stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    written = b""
    while piece := _read(master):
        written += piece
    process.wait()
    os.close(master)
    text = re.sub(r"\x1b\[[0-9;]*[mK]", "", written.decode("utf-8")).replace("\r\n", "\n")
    rows = [row for line in text.splitlines() for row in _rows(line, columns)]
    return "".join(f"{row.rstrip()}\n" for row in rows)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # how Linux tells that nobody has the other side open any more
        return b""


def _rows(line: str, columns: int) -> list[str]:
    return [line[start : start + columns] for start in range(0, max(1, len(line)), columns)]


def test_the_page_is_what_its_commands_print(tour: ModuleType, tmp_path: Path) -> None:
    variables = tour.environment(tmp_path)
    for program in NEEDED:
        if shutil.which(program, path=variables["PATH"]) is None:
            skip_or_fail(f"{program} is not installed")
    folder = tmp_path / "tour"
    folder.mkdir()
    outputs = [shown(command, folder, variables, tour.COLUMNS) for command in tour.commands()]
    text = tour.page(outputs)
    assert str(tmp_path) not in text
    assert text == (DOCS / "tour.md").read_text(encoding="utf-8"), "run `python docs/tour.py` and look at what changed"


def test_the_page_shows_three_mistakes_and_ends_with_one_commit() -> None:
    text = (DOCS / "tour.md").read_text(encoding="utf-8")
    before, _, after = text.partition("## The commit")
    assert len(re.findall(r" error\[VMX\d{4}\]: ", before)) == 3
    assert "compiled\n" in before
    assert "Passed" in after and "Failed" in after
    assert after.endswith("$ git log --format=%s\nAdd the policy of the guest\n```\n")


def test_no_line_of_the_page_is_wider_than_the_terminal(tour: ModuleType) -> None:
    blocks = re.findall(r"^```\n(.*?)^```$", (DOCS / "tour.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert max(len(line) for block in blocks for line in block.splitlines()) <= tour.COLUMNS
