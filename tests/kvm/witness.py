"""What a kernel tree asks of VMX, by gcc: the function is preprocessed, and its own statements are compiled and run."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.kvm.trees import command

MSRS = {
    0x481: "pin_based",
    0x482: "primary",
    0x48B: "secondary",
    0x492: "tertiary",
    0x483: "vm_exit",
    0x484: "vm_entry",
}
"""The capability MSRs that KVM adjusts by, typed in from the manual."""

_LOCALS = {
    "_pin_based_exec_control": "pin_based", "_cpu_based_exec_control": "primary",
    "_cpu_based_2nd_exec_control": "secondary", "_cpu_based_3rd_exec_control": "tertiary",
    "_vmexit_control": "vm_exit", "_vmentry_control": "vm_entry",
}  # fmt: skip
_STATEMENT = re.compile(
    r"\b(?P<list>min2?|opt[23]?)\s*(?P<adds>\|?=)(?P<value>[^;=]*);"
    r"|(?P<call>adjust_vmx_controls(?:64)?)\s*\((?P<arguments>[^;]*?)\)\s*(?:<\s*0\s*)?\)?\s*(?:;|\n|return)"
)
_MASK = re.compile(r"(_\w+control)\s*&=\s*~([^;]+);|vmx_cap->(\w+) = 0;")


@dataclass(frozen=True)
class Masks:
    """By word what is required and what is optional, as the lists say it and without what is masked; what a vCPU is
    forced to have; and the capabilities that are cleared."""

    required: dict[str, int]
    optional: dict[str, int]
    masked: dict[str, int]
    forced: int
    cleared: frozenset[str]


def preprocessed(tree: Path, work: Path) -> str:
    """vmx.c as the compiler sees it."""
    *shell, compile = command(tree, "vmx")
    out = work / "vmx.i"
    line = re.sub(r" -c -o \S+ ", f" -E -P -o {out} ", compile)
    subprocess.run([*shell, line], cwd=tree, check=True, capture_output=True)
    return out.read_text()


def masks(tree: Path, work: Path) -> Masks:
    text = preprocessed(tree, work)
    body = _function(text, "setup_vmcs_config")
    required, optional = _lists(body, work)
    before, _, _ = body.partition("vmcs_conf->pin_based_exec_ctrl = _pin_based_exec_control;")
    block = re.search(r"((?:\s*(?:_\w+control\s*&=\s*~[^;]+|vmx_cap->\w+ = 0);)+)\s*$", before)
    found = list(_MASK.finditer(block.group(1))) if block else []
    values = _evaluated([match.group(2) for match in found if match.group(2)], work)
    masked: dict[str, int] = {}
    for match, value in zip([match for match in found if match.group(2)], values, strict=True):
        word = _LOCALS[match.group(1)]
        masked[word] = masked.get(word, 0) | value
    tail = re.search(r"((?:\s*exec_control \|= [^;]+;)+)\s*return exec_control;", _function(text, "vmx_exec_control"))
    names = re.findall(r"\|= ([^;]+);", tail.group(1)) if tail else []
    forced = 0
    for value in _evaluated([name.rpartition("vmcs_config.cpu_based_exec_ctrl &")[2] for name in names], work):
        forced |= value
    cleared = frozenset(match.group(3) for match in found if match.group(3))
    return Masks(required, optional, masked, forced, cleared)


def _function(text: str, name: str) -> str:
    match = re.search(rf"(?m)^[^\n;]*\b{name}\([^;{{]*\)\s*\n?\{{\n(.*?)^\}}", text, re.DOTALL)
    assert match is not None, name
    return match.group(1)


def _lists(body: str, work: Path) -> tuple[dict[str, int], dict[str, int]]:
    """The statements that fill lists, and reports in place of the calls that take them, as a program."""
    lines = []
    for match in _STATEMENT.finditer(body):
        if match.group("list"):
            lines.append(f"{match['list']} {match['adds']} {match['value']};")
            continue
        arguments = [part.strip() for part in match["arguments"].split(",")]
        need, may, msr = arguments[:3] if len(arguments) == 4 else ("0", *arguments[:2])
        lines.append(f"report({msr}, {need}, {may});")
    program = (
        "#include <stdio.h>\ntypedef unsigned int u32; typedef unsigned long long u64;\n"
        'static void report(u64 msr, u64 a, u64 b) { printf("%llx %llx %llx\\n", msr, a, b); }\n'
        "int main(void) { u64 min = 0, opt = 0, min2 = 0, opt2 = 0, opt3 = 0;\n" + "\n".join(lines) + "\nreturn 0; }\n"
    )
    required, optional = {}, {}
    for line in _run(program, work).splitlines():
        msr, need, may = (int(part, 16) for part in line.split())
        required[MSRS[msr]], optional[MSRS[msr]] = need, may
    return required, optional


def _evaluated(expressions: list[str], work: Path) -> list[int]:
    if not expressions:
        return []
    prints = "".join(f'printf("%llx\\n", (unsigned long long)({one}));' for one in expressions)
    return [
        int(line, 16) for line in _run(f"#include <stdio.h>\nint main(void) {{ {prints} return 0; }}\n", work).split()
    ]


def _run(program: str, work: Path) -> str:
    (work / "masks.c").write_text(program)
    subprocess.run(["gcc", "-w", "-o", str(work / "masks"), str(work / "masks.c")], check=True, capture_output=True)
    return subprocess.run([str(work / "masks")], check=True, capture_output=True, text=True).stdout
