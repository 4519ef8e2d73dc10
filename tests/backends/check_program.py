"""The program that `emit c-checker --main` writes beside `vmcsc check --state`: the same files, the same words."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

from tests.backends.checked_in_c import Given
from vmcsc import compile, emit
from vmcsc.architecture.database import Database
from vmcsc.expression.value import Value

Ran = tuple[int, str, str]
"""Exit code, standard output, and standard error."""

STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
SANITIZED = ("-O1", "-fsanitize=undefined,address", "-fno-sanitize-recover=all")


def source(database: Database, **options: object) -> str:
    vmcs = compile("minimal", database=database).vmcs
    assert vmcs is not None
    [artifact] = emit(vmcs, "c-checker", main=True, **options)
    assert artifact.path == "vmcsc_check.c" and isinstance(artifact.content, str)
    return artifact.content


def built(text: str, folder: Path, *command: str) -> Path:
    """The program; `command` is the compiler with its flags."""
    (folder / "vmcsc_check.c").write_text(text)
    program = folder / "vmcsc_check"
    subprocess.run([*command, *STRICT, str(folder / "vmcsc_check.c"), "-o", str(program)], check=True)
    return program


def ran(program: Path, *files: Path | str, text: str | None = None) -> Ran:
    """What the program does with files, and with `text` on standard input."""
    data = None if text is None else text.encode("utf-8", "surrogateescape")
    done = subprocess.run([program, *files], input=data, capture_output=True, check=False)
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


def as_text(given: Given) -> dict[str, dict[str, str]]:
    """A state with all of it that is wholly known, by sections."""
    sections = {
        "fields": _known(given.fields),
        "processor": _known(given.processor),
        "cpu": {
            **_known(given.cpu.msrs),
            **{n: v for n, v in _known(given.cpu.facts).items() if (n, v) != ("vmx", "0x0")},
        },
    }
    if given.memory is not None:
        apart, end = {}, 0
        for address, content in sorted(given.memory.items()):
            if address >= end:
                apart[hex(address)] = content.to_bytes(8, "little").hex(" ")
                end = address + 8
        sections["memory"] = apart
    return sections


def as_lines(sections: Mapping[str, Mapping[str, str]], chance: Random) -> str:
    """The same as lines, written in one way or another."""
    lines = []
    for section, values in sections.items():
        lines.append(f"{section}:{'   # what is known' if chance.random() < 0.5 else ''}")
        indent = " " * chance.choice((1, 2, 7))
        for name, number in values.items():
            text = number if chance.random() < 0.5 and section != "memory" else f'"{number}"'
            lines.append(
                f"{indent}{name}{chance.choice((':', ' :', ':  '))} {text}{chance.choice(('', '  # so', ' '))}"
            )
        lines += [""] * (chance.random() < 0.3)
    return chance.choice(("\n", "\r\n")).join(lines) + "\n"


def _known(values: Mapping[str, Value]) -> dict[str, str]:
    return {name: hex(value.bits) for name, value in values.items() if value.is_known}


def spoilt(text: str, chance: Random) -> str:
    """The text with something in it changed, taken out, or put twice."""
    for _ in range(chance.choice((1, 1, 2, 5))):
        place, size = chance.randrange(len(text) + 1), chance.choice((0, 1, 1, 2, 12, 40))
        piece = (
            chance.choice(PIECES)
            if chance.random() < 0.6
            else text[(other := chance.randrange(len(text) + 1)) : other + size]
        )
        text = text[:place] + piece + text[place + chance.choice((0, 0, 1, size)) :]
    return text


PIECES = (
    *"0123456789abcdefABCDEFxXhH_-+.~:,{}[]\"'#&*!|>%@`?<\\ \t\n",
    *("0x", "0o17", "1e5", "-1", "9" * 45, "0x" + "f" * 17, "null", "true", "vmlaunch", "[0, 256]", "{}", "[]"),
    *(": ", "\n  ", "\n", " #", "\r\n", "---\n", "...", "- ", "''", '""', '"fields": {', "\x07", "é", "\udc80"),
    *("fields:", 'memory:\n  0x1: "00"\n', "processor:", "cpu:", "cpu:\n  foo: 1"),
    *("GUEST_CR0: 1\n", "guest_cr0_high: 1\n", "TSC_OFFSET_HIGH: 0x1\n"),
)  # fmt: skip


def agreed(ours: Ran, theirs: Callable[[], Ran]) -> str | None:
    """What is wrong, or None: where the program says that it cannot read a file, the other may."""
    if ours[0] == 2 and "cannot be read: " in ours[1] and ours[1].count("error[VMX1001]") == ours[1].count("error["):
        return None
    expected = theirs()
    return None if ours == expected else f"{json.dumps(ours)}\nand not\n{json.dumps(expected)}"
