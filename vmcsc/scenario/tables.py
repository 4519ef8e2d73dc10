"""Paging structures that map every address below 4 GiB to itself, with large pages."""

from __future__ import annotations

from vmcsc.records import dataclass

PAGE = 4096
LARGE = 1 << 21
LARGE_32 = 1 << 22
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Entries:
    """How many levels there are, the bits of an entry that points to a table, and of one that maps a large page."""

    levels: int
    table: int
    leaf: int


@dataclass(slots=True)
class Pages:
    """Pages of the machine's own, one after the other from `address` on, with their contents."""

    address: int
    contents: dict[int, bytes]

    def add(self, content: bytes = b"") -> int:
        """The address of a new page that begins with `content`."""
        address = self.address
        self.contents[address] = content.ljust(PAGE, b"\0")
        self.address += PAGE
        return address


def identity(pages: Pages, entries: Entries) -> int:
    """Tables of 2 levels of 32-bit entries, or of 3 (PAE), 4 or 5 of 64-bit ones; the address of their root."""
    if entries.levels == 2:
        return pages.add(_large(entries, 0, LARGE_32, 4))
    directories = [pages.add(_large(entries, first, LARGE, 8)) for first in range(0, 4 * GIB, GIB)]
    table = 1 if entries.levels == 3 else entries.table  # a PDPTE of PAE paging has no rights of its own
    root = pages.add(b"".join((address | table).to_bytes(8, "little") for address in directories))
    for _ in range(entries.levels - 3):
        root = pages.add((root | entries.table).to_bytes(8, "little"))
    return root


def _large(entries: Entries, first: int, size: int, width: int) -> bytes:
    """A page of entries that map large pages one after the other from `first` on."""
    return b"".join((first + at * size | entries.leaf).to_bytes(width, "little") for at in range(PAGE // width))
