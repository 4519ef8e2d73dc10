"""Programs to bytes and back. The reader trusts nothing: every length is checked before anything is taken.

A file is the magic, version, flags, digest of the specs, the policy's name, and five sections; each section is its
number, its length, the CRC-32 of its content, and entries: an opcode and operands (docs/bytecode.md).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

from vmcsc.bytecode.program import BYTES, SECTIONS, TEXT, VERSION, Entry, Operand, Program, Section
from vmcsc.errors import VmcscError

MAGIC = b"VMXB"
DIGEST = 20
MAX_BYTES = 1 << 24
"""Largest file that is read."""

MAX_ENTRIES = 1 << 18
"""Entries of a section."""

_HEADER = struct.Struct("<4sHH20s")
_SECTION = struct.Struct("<HHII")
_NUMBERS = {"u8": 1, "u16": 2, "u32": 4, "u64": 8}


class BrokenProgram(VmcscError):
    """The bytes are no program: the message says what is wrong, and where."""


def to_bytes(program: Program) -> bytes:
    """The one file for a program."""
    parts = [_HEADER.pack(MAGIC, VERSION, 0, program.specs), _operand(TEXT, program.policy)]
    for section in SECTIONS:
        content = b"".join(_entry(section, entry) for entry in program.entries.get(section.name, ()))
        parts += [_SECTION.pack(section.number, 0, len(content), zlib.crc32(content)), content]
    return b"".join(parts)


def _entry(section: Section, entry: Entry) -> bytes:
    opcode, kinds = section.kinds[entry.kind]
    return bytes([opcode]) + b"".join(_operand(kind, value) for kind, value in zip(kinds, entry.operands, strict=True))


def _operand(kind: str, value: Operand) -> bytes:
    if isinstance(value, int):
        return value.to_bytes(_NUMBERS[kind], "little")
    content = value.encode("utf-8", "backslashreplace") if isinstance(value, str) else value
    return len(content).to_bytes(4, "little") + content


def from_bytes(data: bytes) -> Program:
    """The program that a file holds. Raises `BrokenProgram`."""
    if len(data) > MAX_BYTES:
        raise BrokenProgram(f"the file has {len(data)} bytes, and no program has more than {MAX_BYTES}")
    reader = _Reader(data)
    magic, version, flags, specs = _HEADER.unpack(reader.take(_HEADER.size, "header"))
    if magic != MAGIC:
        raise BrokenProgram(f"the file begins with {magic!r} and not with {MAGIC!r}: it is no bytecode")
    if version != VERSION:
        raise BrokenProgram(f"the file has version {version}; this program reads version {VERSION}")
    if flags:
        raise BrokenProgram(f"the flags are {flags:#x}; none has a meaning yet")
    policy = reader.text("name of the policy")
    entries = {section.name: _section(reader, section) for section in SECTIONS}
    if reader.left:
        raise BrokenProgram(f"at byte {reader.at}: {reader.left} bytes follow behind the last section")
    return Program(policy, specs, entries)


def _section(reader: _Reader, section: Section) -> tuple[Entry, ...]:
    start = reader.at
    number, reserved, length, checksum = _SECTION.unpack(reader.take(_SECTION.size, f"section {section.name}"))
    if number != section.number or reserved:
        known = next((one.name for one in SECTIONS if one.number == number), None)
        what = f"the section {known}" if known else f"an unknown section {number}"
        raise BrokenProgram(f"at byte {start}: {what} stands where the section {section.name} belongs")
    content = reader.take(length, f"content of the section {section.name}")
    if zlib.crc32(content) != checksum:
        raise BrokenProgram(f"at byte {start}: the checksum of the section {section.name} is not that of its content")
    inner = _Reader(content, start + _SECTION.size)
    kinds = {opcode: (kind, operands) for kind, (opcode, operands) in section.kinds.items()}
    found: list[Entry] = []
    while inner.left:
        if len(found) >= MAX_ENTRIES:
            raise BrokenProgram(f"the section {section.name} has more than {MAX_ENTRIES} entries")
        found.append(_read_entry(inner, section, kinds))
    return tuple(found)


def _read_entry(reader: _Reader, section: Section, kinds: Mapping[int, tuple[str, tuple[str, ...]]]) -> Entry:
    at = reader.at
    opcode = reader.take(1, "opcode")[0]
    if opcode not in kinds:
        raise BrokenProgram(f"at byte {at}: the section {section.name} has no opcode {opcode}")
    kind, operands = kinds[opcode]
    return Entry(kind, tuple(reader.operand(one, kind) for one in operands))


class _Reader:
    """Takes bytes from the front; `at` is where it is in the file."""

    def __init__(self, data: bytes, base: int = 0) -> None:
        self._data, self._base, self._next = data, base, 0

    @property
    def at(self) -> int:
        return self._base + self._next

    @property
    def left(self) -> int:
        return len(self._data) - self._next

    def take(self, size: int, what: str) -> bytes:
        if size > self.left:
            raise BrokenProgram(f"at byte {self.at}: the {what} takes {size} bytes, and {self.left} are left")
        self._next += size
        return self._data[self._next - size : self._next]

    def operand(self, kind: str, entry: str) -> Operand:
        if kind == TEXT:
            return self.text(f"text of `{entry}`")
        if kind == BYTES:
            return self.content(f"content of `{entry}`")
        return int.from_bytes(self.take(_NUMBERS[kind], f"operand of `{entry}`"), "little")

    def content(self, what: str) -> bytes:
        return self.take(int.from_bytes(self.take(4, f"length of the {what}"), "little"), what)

    def text(self, what: str) -> str:
        at = self.at
        try:
            return self.content(what).decode("utf-8")
        except UnicodeDecodeError as error:
            raise BrokenProgram(f"at byte {at}: the {what} is not UTF-8") from error
