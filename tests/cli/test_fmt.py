"""`vmcsc fmt`: what is written where, what is only shown, and that nothing is touched where something is wrong."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import skip_or_fail
from vmcsc.resources import SPECS

UGLY = "policy p {\n\n   primary{require a,b}   \n # c\n}"
NICE = "policy p {\n  primary { require a, b }\n  # c\n}\n"
BAD = "policy p {\n   require a b\n   summary none\n}\n"
Write = Callable[..., Path]


class _Stream:
    """A standard stream of bytes that is no terminal."""

    encoding = "ascii"
    closed = False

    def __init__(self, content: bytes = b"") -> None:
        self.buffer = io.BytesIO(content)

    def isatty(self) -> bool:
        return False

    def flush(self) -> None: ...


def type_in(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", _Stream(content))


# --- files -----------------------------------------------------------------------------------------------------


def test_a_file_is_formatted_in_its_place(vmcsc: Any, policy: Write, tmp_path: Path) -> None:
    path = policy(UGLY)
    assert vmcsc("fmt", path) == (0, "", "1 file reformatted\n")
    assert path.read_text() == NICE
    assert [entry.name for entry in tmp_path.iterdir()] == ["one.vmcs"]


def test_a_file_that_is_as_it_should_be_is_not_written(vmcsc: Any, policy: Write) -> None:
    path = policy(NICE)
    os.utime(path, ns=(1, 1))
    assert vmcsc("fmt", path) == (0, "", "1 file left as it is\n")
    assert path.stat().st_mtime_ns == 1


def test_a_folder_stands_for_the_policies_in_it_and_below(vmcsc: Any, policy: Write, tmp_path: Path) -> None:
    for folder in ("sub", ".hidden"):
        (tmp_path / folder).mkdir()
    (tmp_path / "sub" / "loop").symlink_to(tmp_path)
    written = [policy(UGLY, name) for name in ("a.vmcs", "sub/b.vmcs")]
    others = [policy(UGLY, name) for name in ("notes.txt", ".hidden/c.vmcs")]
    assert vmcsc("fmt", tmp_path, written[0]).err == "2 files reformatted\n"
    assert {path.read_text() for path in written} == {NICE}
    assert {path.read_text() for path in others} == {UGLY}


def test_a_folder_without_policies_is_nothing_to_do(vmcsc: Any, tmp_path: Path) -> None:
    assert vmcsc("fmt", tmp_path) == (0, "", "no policies found\n")


def test_a_link_stays_a_link(vmcsc: Any, policy: Write, tmp_path: Path) -> None:
    path, link = policy(UGLY), tmp_path / "link.vmcs"
    link.symlink_to(path)
    assert vmcsc("fmt", link).code == 0
    assert link.is_symlink()
    assert path.read_text() == NICE


def test_line_ends_of_windows_become_newlines(vmcsc: Any, policy: Write) -> None:
    path = policy("")
    path.write_bytes(NICE.replace("\n", "\r\n").encode())
    assert vmcsc("fmt", path).err == "1 file reformatted\n"
    assert path.read_bytes() == NICE.encode()


def test_the_shipped_policies_are_in_canonical_layout(vmcsc: Any) -> None:
    run = vmcsc("fmt", "--check", SPECS / "policies")
    assert (run.code, run.out) == (0, "")
    assert run.err.endswith(" files left as they are\n")


# --- mistakes --------------------------------------------------------------------------------------------------


def test_a_file_with_syntax_errors_is_reported_and_left_alone_while_others_are_formatted(
    vmcsc: Any, policy: Write
) -> None:
    bad, ugly = policy(BAD, "bad.vmcs"), policy(UGLY, "ugly.vmcs")
    run = vmcsc("fmt", bad, ugly)
    assert (run.code, run.out) == (1, "")
    assert f"{bad}:2:14: error[VMX1002]: " in run.err
    assert f"{bad}:3:12: error[VMX1002]: " in run.err
    assert run.err.endswith("1 file reformatted, 2 errors\n")
    assert (bad.read_text(), ugly.read_text()) == (BAD, NICE)


def test_names_need_not_mean_anything_to_be_formatted(vmcsc: Any, policy: Write) -> None:
    assert vmcsc("fmt", policy("require no_such_control")).code == 0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"require a\x00", "control character U+0000"),
        (b"require \xff", "not valid UTF-8"),
        ("require a # \u202e".encode(), "changes the direction"),
        (b"#" * (1 << 20) + b"\n", "larger than"),
    ],
)
def test_what_is_no_text_is_refused_and_left_alone(vmcsc: Any, tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "p.vmcs"
    path.write_bytes(content)
    run = vmcsc("fmt", path)
    assert run.code == 2
    assert reason in run.err
    assert path.read_bytes() == content


def test_a_file_that_is_not_there_or_no_file_is_unreadable_input(vmcsc: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.vmcs")
    for name, reason in (("absent.vmcs", "there is no such file"), ("pipe.vmcs", "not a regular file")):
        run = vmcsc("fmt", tmp_path / name)
        assert run.code == 2
        assert f"{name} cannot be read: " in run.err
        assert reason in run.err


def test_a_file_that_cannot_be_written_is_reported_and_whole(
    vmcsc: Any, policy: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = policy(UGLY)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    run = vmcsc("fmt", path)
    assert run.code == 2
    assert f"error[VMX7003]: {path} cannot be written: No space left on device" in run.err
    assert path.read_text() == UGLY


def test_a_name_cannot_command_the_terminal(vmcsc: Any, policy: Write) -> None:
    path = policy(UGLY, "\x1b[2J.vmcs")
    for option in ("--check", "--diff"):
        run = vmcsc("fmt", option, path)
        assert "\\x1b[2J.vmcs" in run.out
        assert "\x1b" not in run.out + run.err


# --- only looking ----------------------------------------------------------------------------------------------


def test_check_lists_what_would_change_and_fails(vmcsc: Any, policy: Write) -> None:
    ugly, nice = policy(UGLY, "ugly.vmcs"), policy(NICE, "nice.vmcs")
    summary = "1 file would be reformatted, 1 file left as it is\n"
    assert vmcsc("fmt", "--check", ugly, nice) == (1, f"{ugly}\n", summary)
    assert ugly.read_text() == UGLY
    assert vmcsc("fmt", "--check", nice) == (0, "", "1 file left as it is\n")


@pytest.mark.parametrize("before", [UGLY, UGLY + "\n", NICE + "\n\n", "", "\n", "#c \n" * 3000], ids=range(6))
def test_diff_prints_what_patch_takes(vmcsc: Any, policy: Write, tmp_path: Path, before: str) -> None:
    if shutil.which("patch") is None:
        skip_or_fail("there is no patch (apt-get install patch)")
    path = policy(before)
    run = vmcsc("fmt", "--diff", path)
    assert path.read_text() == before
    assert run.code == (1 if run.out else 0)
    vmcsc("fmt", path)
    expected = path.read_text()
    assert (before != expected) == bool(run.out)
    path.write_text(before)
    if run.out:
        subprocess.run(["patch", "-s", str(path)], input=run.out.encode(), check=True, cwd=tmp_path)
        assert (path.read_text() if path.exists() else "") == expected


def test_diff_shows_the_lines_around_a_change(vmcsc: Any, policy: Write) -> None:
    path = policy(NICE.replace("a, b", "a,b"))
    assert vmcsc("fmt", "--diff", path).out == (
        f"--- {path}\n+++ {path}\n@@ -1,4 +1,4 @@\n"
        " policy p {\n-  primary { require a,b }\n+  primary { require a, b }\n   # c\n }\n"
    )


def test_check_and_diff_together_list_and_show(vmcsc: Any, policy: Write) -> None:
    path = policy(UGLY)
    run = vmcsc("fmt", "--check", "--diff", path)
    assert run.code == 1
    assert run.out.startswith(f"{path}\n--- {path}\n")


def test_a_diff_in_colour_escapes_what_could_command_a_terminal(vmcsc: Any, policy: Write) -> None:
    path = policy("#\x9b2J\n  -- a")
    path.write_text("  # \x9b2J\n")
    out = vmcsc("fmt", "--diff", "--color", "always", path).out
    assert "\x1b[1;31m-  # \\x9b2J\x1b[0m\n\x1b[1;32m+# \\x9b2J\x1b[0m\n" in out
    assert "\x9b" not in out


# --- standard input --------------------------------------------------------------------------------------------


def test_standard_input_goes_to_standard_output_and_nothing_else(vmcsc: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for typed in (UGLY, NICE):
        type_in(monkeypatch, typed.encode())
        assert vmcsc("fmt", "-") == (0, NICE, "")


def test_standard_output_gets_the_bytes_whatever_its_encoding(vmcsc: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    type_in(monkeypatch, "# \u00e4\u9b54 ".encode())
    output = _Stream()
    monkeypatch.setattr("sys.stdout", output)
    assert vmcsc("fmt", "-").code == 0
    assert output.buffer.getvalue() == "# \u00e4\u9b54\n".encode()


def test_findings_and_diffs_call_standard_input_by_the_name_given(vmcsc: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    type_in(monkeypatch, BAD.encode())
    run = vmcsc("fmt", "-", "--stdin-filename", "src/p.vmcs")
    assert (run.code, run.out) == (1, "")
    assert run.err.startswith("src/p.vmcs:2:14: error[VMX1002]: ")
    type_in(monkeypatch, UGLY.encode())
    run = vmcsc("fmt", "--check", "--diff", "--stdin-filename", "src/p.vmcs", "-")
    assert run.code == 1
    assert run.out.startswith("src/p.vmcs\n--- src/p.vmcs\n+++ src/p.vmcs\n")


def test_a_name_for_standard_input_without_it_is_wrong_use(vmcsc: Any, policy: Write) -> None:
    run = vmcsc("fmt", "--stdin-filename", "p.vmcs", policy(UGLY))
    assert run.code == 2
    assert "--stdin-filename" in run.err


def test_standard_input_that_is_no_text_is_unreadable_input(vmcsc: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    type_in(monkeypatch, b"\xff")
    run = vmcsc("fmt", "-")
    assert (run.code, run.out) == (2, "")
    assert "standard input cannot be read: it is not valid UTF-8" in run.err
