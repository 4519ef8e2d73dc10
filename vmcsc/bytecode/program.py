"""What a bytecode file says, entry by entry: the same whether it is read from bytes or from a listing."""

from __future__ import annotations

from collections.abc import Mapping

from vmcsc.records import dataclass

VERSION = 1

U8, U16, U32, U64, TEXT, BYTES = "u8", "u16", "u32", "u64", "text", "bytes"
"""Kinds of operands: numbers by their width, UTF-8, and bytes."""

Operand = int | str | bytes

CAPABILITY_KINDS: Mapping[str, tuple[int, tuple[str, ...]]] = {
    "cpu": (1, (TEXT, TEXT)),
    "msr": (2, (TEXT, U64, U64)),
    "fact": (3, (TEXT, U8, U64, U64)),
}
"""`cpu NAME TITLE`, `msr NAME VALUE KNOWN`, `fact NAME WIDTH VALUE KNOWN`: opcode and operands of each kind."""

MEMORY_KINDS: Mapping[str, tuple[int, tuple[str, ...]]] = {
    "fill": (1, (U64, U32, U8)),
    "bytes": (2, (U64, BYTES)),
}
"""`fill ADDRESS SIZE BYTE`, `bytes ADDRESS CONTENT`."""

HOST_KINDS: Mapping[str, tuple[int, tuple[str, ...]]] = {
    "vmxon": (1, (U64,)),
    "vmclear": (2, (U64,)),
    "vmptrld": (3, (U64,)),
    "vmwrite": (4, (U32, U64)),
}
"""VMX instructions with their operands: an address, or the encoding of a field and its value."""

GUEST_KINDS: Mapping[str, tuple[int, tuple[str, ...]]] = {"code": (1, (BYTES,))}
"""The x86 encoding of one instruction; scenarios name it by its number, from 0."""

STEP_KINDS: Mapping[str, tuple[int, tuple[str, ...]]] = {
    "scenario": (1, (TEXT, U8, U8)),
    "write": (2, (U32, U64)),
    "register": (3, (TEXT, U64)),
    "page": (4, (U64, BYTES)),
    "guest": (16, (TEXT, U16)),
    "root": (17, (TEXT, U8, U16)),
    "set": (18, (TEXT, U8, TEXT, U64)),
    "field": (19, (TEXT, U8, U32, U64)),
    "configure": (20, (TEXT, U8)),
    "memory": (21, (TEXT, U64, BYTES)),
    "event": (22, (TEXT, TEXT, U8, U32)),
    "resume": (23, (TEXT,)),
    "on_exit": (24, (TEXT, U16)),
    "expect": (25, (TEXT,)),
    "no_exit": (26, (TEXT,)),
    "exit": (27, (TEXT, U16, TEXT)),
    "condition": (28, (TEXT, TEXT)),
    "end": (32, ()),
}
"""`scenario TITLE MANUAL PROCESSORS` begins one; `write`, `register` and `page` are what it changes before it starts,
the rest are its steps, each with the statement it comes from. `on_exit` and `expect` hold the entries up to `end`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a section: its kind and operands."""

    kind: str
    operands: tuple[Operand, ...]


@dataclass(frozen=True)
class Section:
    """The number of a section in files, and the kinds of its entries."""

    name: str
    number: int
    kinds: Mapping[str, tuple[int, tuple[str, ...]]]


SECTIONS = (
    Section("capabilities", 1, CAPABILITY_KINDS),
    Section("memory", 2, MEMORY_KINDS),
    Section("host", 3, HOST_KINDS),
    Section("guest", 4, GUEST_KINDS),
    Section("scenarios", 5, STEP_KINDS),
)
"""In the order in which they stand in a file."""


@dataclass(frozen=True)
class Program:
    """`policy` is the name of the policy, `specs` the digest of the specs; entries by the name of their section."""

    policy: str
    specs: bytes
    entries: Mapping[str, tuple[Entry, ...]]
