"""Physical memory in sparse pages. What was never written reads as zeros, as of a machine that was cleared."""

from __future__ import annotations

from vmcsc.errors import VmcscError

PAGE = 4096
MAX_PAGES = 16_384
"""64 MiB: far more than a configuration needs, and a bound for programs that nobody wrote by hand."""


class PhysicalMemory:
    """Bytes by physical address. Pages come into being when they are written.

    `watched` holds the numbers of pages of which somebody keeps what they say (translations, regions); `changes` counts
    the writes to those.
    """

    def __init__(self) -> None:
        self.pages: dict[int, bytearray] = {}
        self.watched: set[int] = set()
        self.changes = 0

    def page(self, number: int) -> bytearray:
        """The page to write to. Raises `VmcscError` where the machine has no more memory."""
        page = self.pages.get(number)
        if page is None:
            if len(self.pages) >= MAX_PAGES:
                raise VmcscError(f"the machine has no more than {MAX_PAGES} pages of memory")
            page = self.pages[number] = bytearray(PAGE)
        return page

    def read(self, address: int, width: int) -> int:
        """`width` bits (a multiple of 8) from `address` on, little endian."""
        offset, size = address & 0xFFF, width >> 3
        if offset + size <= PAGE:
            page = self.pages.get(address >> 12)
            return 0 if page is None else int.from_bytes(page[offset : offset + size], "little")
        return int.from_bytes(self.read_bytes(address, size), "little")

    def write(self, address: int, width: int, value: int) -> None:
        """The counterpart of `read`."""
        offset, size = address & 0xFFF, width >> 3
        number = address >> 12
        if offset + size > PAGE:
            self.write_bytes(address, value.to_bytes(size, "little"))
            return
        if number in self.watched:
            self.changes += 1
        self.page(number)[offset : offset + size] = value.to_bytes(size, "little")

    def read_bytes(self, address: int, size: int) -> bytes:
        found = bytearray()
        while len(found) < size:
            number, offset = divmod(address + len(found), PAGE)
            take = min(PAGE - offset, size - len(found))
            page = self.pages.get(number)
            found += bytes(take) if page is None else page[offset : offset + take]
        return bytes(found)

    def write_bytes(self, address: int, content: bytes) -> None:
        done = 0
        while done < len(content):
            number, offset = divmod(address + done, PAGE)
            take = min(PAGE - offset, len(content) - done)
            if number in self.watched:
                self.changes += 1
            self.page(number)[offset : offset + take] = content[done : done + take]
            done += take
