"""What a patch of this project adds to code: masks before the configuration is stored, and bits that a vCPU gets."""

from __future__ import annotations

import re
from collections.abc import Mapping

from vmcsc.architecture.kvm import Kvm
from vmcsc.kvm.names import Names
from vmcsc.kvm.sources import KernelFile
from vmcsc.records import dataclass

MARK = "vmcsc:"
"""Begins the comment of each block."""

_BLOCK = r"[ \t]*/\* {mark} [^\n]*\*/\n(?:[ \t]*[^\s{{}}][^\n{{}}]*\n)+\n?"


@dataclass(frozen=True)
class Block:
    """Where a block lies in its file, in whole lines, or with `start` and `end` alike where one would go."""

    start: int
    end: int


@dataclass(frozen=True)
class Blocks:
    """By word the bits that are masked or forced, and where these blocks are or would be; None where they cannot."""

    masked: Mapping[str, int]
    forced: Mapping[str, int]
    mask: Block | None
    force: Mapping[str, Block | None]


def read_blocks(file: KernelFile, kvm: Kvm, names: Names) -> Blocks:
    """The blocks that the file has, which are told by their comment."""
    mask = _before_store(file, kvm)
    masked: dict[str, int] = {}
    forced: dict[str, int] = {}
    if mask is not None:
        text = file.text[mask.start : mask.end]
        for name, word in kvm.words.items():
            for found in re.findall(rf"(?<!\w){word.local}\s*&=\s*~\s*([^;]+);", text):
                masked[name] = masked.get(name, 0) | names.mask(found)
    force = {}
    for name, word in kvm.words.items():
        if word.forced_in is not None:
            force[name] = block = _before_return(file, word.forced_in)
            text = "" if block is None else file.text[block.start : block.end]
            for found in re.findall(r"\|=\s*([^;]+);", text):
                forced[name] = forced.get(name, 0) | names.mask(found)
    return Blocks(masked, forced, mask, force)


def _before_store(file: KernelFile, kvm: Kvm) -> Block | None:
    body = file.body(kvm.config)
    spaces = r"\s*".join(map(re.escape, kvm.store.replace(" ", "").partition("=")))
    found = list(re.finditer(spaces, file.code[slice(*body)])) if body is not None else []
    if body is None or len(found) != 1:
        return None
    return _block_before(file, body[0] + found[0].start())


def _before_return(file: KernelFile, function: str) -> Block | None:
    body = file.body(function)
    if body is None:
        return None
    found = list(re.finditer(r"(?m)^\treturn\s+\w+\s*;", file.code[slice(*body)]))
    return _block_before(file, body[0] + found[-1].start()) if found else None


def _block_before(file: KernelFile, place: int) -> Block:
    """The block that ends where the line of `place` begins, or the empty one there."""
    line = file.text.rfind("\n", 0, place) + 1
    for match in re.finditer(_BLOCK.format(mark=MARK), file.text[max(0, line - 8000) : line]):
        if max(0, line - 8000) + match.end() == line:
            return Block(max(0, line - 8000) + match.start(), line)
    return Block(line, line)
