"""Turns samples into hostile inputs: by bytes, by lines, by words, and where a sample is data, by its values."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

from tests.fuzz.trees import mutated_data

LARGE = (1 << 20) + 64
"""Bytes up to which a piece of an input is repeated: just beyond what the readers take."""

USUAL = 1 << 16
"""Bytes to which other inputs are cut, so that most of the time goes into what they say."""

_WORD = re.compile(rb"\w+|[ \t]+|\s|[^\w\s]")
_NUMBER = re.compile(rb"0[xX][0-9a-fA-F_]+|\b[0-9][0-9_]*\b")

NASTY: tuple[bytes, ...] = (
    *(b"\0", b"\x1b[2J", b"\x1b]0;x\x07", b"\r", b"\x85", b"\x7f", b"\xef\xbb\xbf", b"\xff\xfe", b"\xc0\xaf"),
    *(b"\xed\xa0\x80", b"\xe2\x80", b"\xf4\x90\x80\x80", b"\xd9\xa1"),
    *(c.encode() for c in "\u202e\u2066\u200f\u061c\u2028\u200b\u0131\uff11\u00b2\u00a0\U0001f600\u0301\ufeff"),
    *(b"&a ", b"*a", b"<<: ", b"<<: *a", b"!!python/object/apply:os.system ", b"!!binary ", b"%YAML 1.1\n"),
    *(b"\n---\n", b"\n...\n", b"? ", b": ", b"- ", b"|\n", b">-\n", b"{", b"}", b"[", b"]", b"(", b")", b'"', b"'"),
    *(b"\\", b"#", b"\t", b"\n", b";", b",", b"=", b"..", b"../../../etc/passwd", b"/dev/zero", b"~", b"null"),
    *(b"true", b".nan", b".inf", b"-.inf", b"1e999", b"1e400", b"0o7", b"012", b"-1", b"0", b"0x"),
    *(b"0xffffffffffffffff", b"0x10000000000000000", b"18446744073709551616", b"9" * 50, b"9" * 5000),
    *(b"0x" + b"f" * 5000, b"1" + b"_" * 30 + b"1", b"0" * 3000, b"a" * 300, b"a." * 300, b"__class__", b"$ref"),
    *(b"%s%n{0}", b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"&b;", b"]]>", b"<a>", b"live", b"kvm"),
)
"""What readers stumble over: characters that hide or command, foreign syntax, numbers without end."""

_BRACKETS = (
    *((b"(", b")"), (b"[", b"]"), (b"{", b"}"), (b"{a: ", b"}"), (b'{"a":', b"}"), (b"- ", b""), (b"<a>", b"</a>")),
    *((b"when true {", b"}"), (b"u64(", b")"), (b"not ", b""), (b"-", b""), (b"a.", b""), (b"[a.", b"]")),
)


class Mutator:
    """One hostile input for each state of `random`, made of `samples`."""

    def __init__(self, samples: Sequence[bytes], random: Random) -> None:
        self._samples = samples
        self._random = random

    def input(self) -> bytes:
        random = self._random
        data = random.choice(self._samples)
        if random.random() < 0.4:
            data = mutated_data(data, random) or data
            if random.random() < 0.5:
                return data
        for _ in range(random.choice((1, 1, 1, 2, 2, 3, 5, 12))):
            data = random.choices(self._EVERY, self._WEIGHTS)[0](self, data)[: LARGE + USUAL]
        if random.random() < 0.01:
            return self._amplified(data)
        return data if len(data) <= USUAL or random.random() < 0.01 else data[:USUAL]

    # --- places ---

    def _place(self, data: bytes) -> int:
        return self._random.randint(0, len(data))

    def _slice(self, data: bytes) -> tuple[int, int]:
        start = self._place(data)
        return start, min(len(data), start + self._random.choice((1, 2, 5, 20, 100, 1000)))

    def _other(self) -> bytes:
        return self._random.choice(self._samples)

    def _pieces(self, data: bytes, by_line: bool) -> list[bytes]:
        return data.splitlines(keepends=True) if by_line else _WORD.findall(data[:USUAL])

    # --- mutations ---

    def _flipped(self, data: bytes) -> bytes:
        if not data:
            return b"\0"
        changed = bytearray(data)
        for _ in range(self._random.choice((1, 1, 2, 8))):
            changed[self._random.randrange(len(changed))] ^= 1 << self._random.randrange(8)
        return bytes(changed)

    def _inserted(self, data: bytes) -> bytes:
        place = self._place(data)
        return data[:place] + self._random.choice(NASTY) + data[place:]

    def _deleted(self, data: bytes) -> bytes:
        start, end = self._slice(data)
        return data[:start] + data[end:]

    def _duplicated(self, data: bytes) -> bytes:
        start, end = self._slice(data)
        return data[:end] + data[start:end] * self._random.choice((1, 1, 2, 20)) + data[end:]

    def _swapped(self, data: bytes) -> bytes:
        first, second = sorted((self._slice(data), self._slice(data)))
        if first[1] > second[0]:
            return data[second[0] :] + data[: second[0]]
        return (
            data[: first[0]]
            + data[second[0] : second[1]]
            + data[first[1] : second[0]]
            + data[first[0] : first[1]]
            + data[second[1] :]
        )

    def _truncated(self, data: bytes) -> bytes:
        return data[: self._place(data)]

    def _spliced(self, data: bytes) -> bytes:
        other = self._other()
        return data[: self._place(data)] + other[self._place(other) :]

    def _renumbered(self, data: bytes) -> bytes:
        numbers = list(_NUMBER.finditer(data))
        if not numbers:
            return self._inserted(data)
        chosen = self._random.choice(numbers)
        bits = self._random.choice((1, 8, 16, 31, 32, 33, 63, 64, 65, 128, 20_000))
        number = self._random.choice((0, (1 << bits) - 1, 1 << bits, -1, self._random.getrandbits(bits)))
        text = b"%#x" % number if bits > 10_000 or self._random.random() < 0.5 else b"%d" % number
        return data[: chosen.start()] + text + data[chosen.end() :]

    def _words_changed(self, data: bytes) -> bytes:
        return self._pieces_changed(data, by_line=False)

    def _lines_changed(self, data: bytes) -> bytes:
        return self._pieces_changed(data, by_line=True)

    def _pieces_changed(self, data: bytes, *, by_line: bool) -> bytes:
        random = self._random
        pieces = self._pieces(data, by_line)
        if not pieces:
            return data
        others = self._pieces(self._other(), by_line) or pieces
        for _ in range(random.choice((1, 1, 2, 4))):
            at = random.randrange(len(pieces))
            match random.randrange(5):
                case 0 if len(pieces) > 1:
                    del pieces[at]
                case 1:
                    pieces.insert(at, random.choice(pieces))
                case 2:
                    other = random.randrange(len(pieces))
                    pieces[at], pieces[other] = pieces[other], pieces[at]
                case 3:
                    pieces[at] = random.choice(others)
                case _:
                    pieces.insert(at, random.choice(others))
        return b"".join(pieces)

    def _nested(self, data: bytes) -> bytes:
        """Brackets around a piece, or left open before it."""
        start, end = self._slice(data)
        opening, closing = self._random.choice(_BRACKETS)
        depth = self._random.choice((1, 10, 63, 65, 200, 2000, 20_000))
        ending = closing * depth if self._random.random() < 0.7 else b""
        return data[:start] + opening * depth + data[start:end] + ending + data[end:]

    def _amplified(self, data: bytes) -> bytes:
        """A piece repeated until nothing larger is read; half of the time numbered, so that no two are alike."""
        random = self._random
        if random.random() < 0.3:  # a name, a text or a number without an end
            start = self._place(data)
            piece = data[start : start + random.choice((1, 1, 2))] or b"a"
        else:
            pieces = self._pieces(data, random.random() < 0.7) or [b"a"]
            start = random.randrange(len(pieces))
            piece = b"".join(pieces[start : start + random.choice((1, 1, 2, 5, 20))]) or b"a"
        size = random.choice((LARGE // 50, LARGE // 8, LARGE - 200)) - len(data)
        count = max(0, size) // len(piece)
        words = list(re.finditer(rb"\w+", piece))
        if words and random.random() < 0.5:
            at = random.choice(words).end()
            count = max(0, size) // (len(piece) + 6)
            many = b"".join(piece[:at] + b"%d" % number + piece[at:] for number in range(count))
        else:
            many = piece * count
        split = start if len(piece) <= 2 else data.find(piece) if random.random() < 0.8 else self._place(data)
        return data[:split] + many + data[split:]

    _EVERY: tuple[Callable[[Mutator, bytes], bytes], ...] = (
        *(_flipped, _inserted, _deleted, _duplicated, _swapped, _truncated, _spliced, _renumbered),
        *(_words_changed, _lines_changed, _nested),
    )
    _WEIGHTS = (2, 3, 2, 2, 2, 1, 2, 3, 8, 5, 1)
