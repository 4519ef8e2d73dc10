"""Physical memory in pieces; what was not given is unknown."""

from __future__ import annotations

from collections.abc import Mapping

from vmcsc.expression.value import Value, unknown

PAGE = 4096


class Memory:
    """Bytes by physical address. `pieces` maps the address of each piece to its content."""

    def __init__(self, pieces: Mapping[int, bytes] | None = None) -> None:
        self._bytes: dict[int, dict[int, int]] = {}
        for address, content in (pieces or {}).items():
            self.write(address, content)

    def write(self, address: int, content: bytes) -> None:
        for offset, byte in enumerate(content):
            page, place = divmod(address + offset, PAGE)
            self._bytes.setdefault(page, {})[place] = byte

    def read(self, address: int, width: int) -> Value:
        """`width` bits from `address` on, little endian; the bits of bytes that were not given are unknown."""
        bits = known = 0
        for offset in range((width + 7) // 8):
            page, place = divmod(address + offset, PAGE)
            byte = self._bytes.get(page, {}).get(place)
            if byte is not None:
                bits |= byte << 8 * offset
                known |= 0xFF << 8 * offset
        return Value(width, bits, known) if known else unknown(width)

    def has(self, address: int, size: int) -> bool:
        """Whether any byte of the range was given."""
        return bool(self.read(address, size * 8).known)
