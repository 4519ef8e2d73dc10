"""Writes random policies that parse, in as odd a layout as the language lets pass."""

from __future__ import annotations

from random import Random

NAMES = ("a", "b_1", "long_name_of_a_control", "x" * 40, "primary", "in_", "cpu", "read_only", "_z", "qualification")
VERBS = ("require", "forbid", "prefer", "avoid", "allow")
NUMBERS = ("0", "1", "0x1F", "0b1010", "1_000", "0xffff_ffff", "18446744073709551615")
STRINGS = ('""', '"plain"', '"a # b"', '"{ ; }"', '"say \\"hi\\""', '"\\\\"', '"tab\there"', '"\u00e4\u4e2d"')
COMMENTS = (
    *("#", "# c", "#c", "#  two  blanks ", '# { ; } "', "## # \t", "# \u00e4\u4e2d", "# a, b, (c", "#\ttab\r"),
    "# vmcsc: ignore[VMX3003] c",
)
BINARY = ("or", "and", "|", "^", "&", "<<", ">>", "+", "-", "*")
COMPARISONS = ("==", "!=", "<=", ">=", "<", ">")


class PolicyWriter:
    """One random policy or fragment for each state of `random`."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def text(self) -> str:
        statements = [self._block("policy p", 0, scenario=False)] if self._chance(0.6) else []
        statements += [self._statement(0) for _ in range(self._random.randint(0, 4))]
        return (
            self._between(any_=True) + self._joined(statements) + self._random.choice(("", "\n", "\n\n", " # end", ";"))
        )

    # --- blanks ---

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _some(self) -> str:
        """At least one blank."""
        return self._random.choice((" ", " ", " ", "  ", "\t", " \t  "))

    def _maybe(self) -> str:
        return self._random.choice(("", "", " ", "  "))

    def _comment(self) -> str:
        return self._random.choice(COMMENTS) + "\n"

    def _inside(self) -> str:
        """What may stand after a comma or within parentheses."""
        if self._chance(0.7):
            return self._maybe()
        return self._maybe() + self._random.choice(
            (
                "\n",
                "\n\n   ",
                "\r\n",
                self._comment(),
                "\n \t" + self._comment() + "  ",
                self._comment() + "\n\n" + self._comment(),
            )
        )

    def _between(self, *, any_: bool = False) -> str:
        """What may stand between two statements; with `any_`, also nothing."""
        parts = (
            [] if any_ and self._chance(0.3) else [self._random.choice(("\n", "\n", "\n", ";", " ; ", "\r\n", ";;\n"))]
        )
        if self._chance(0.3):
            parts += [self._random.choice(("\n", "", "      ")), self._comment()]
        if self._chance(0.3):
            parts += [self._random.choice(("\n\n", "\n \n\n", "\n;\n", self._comment(), "   " + self._comment()))]
        return self._maybe() + "".join(parts) + self._maybe()

    def _joined(self, statements: list[str]) -> str:
        return "".join(statement + self._between() for statement in statements)

    # --- expressions ---

    def _path(self) -> str:
        return self._random.choice((".", ".", " . ")).join(self._random.choices(NAMES, k=self._random.randint(1, 3)))

    def _expression(self, depth: int = 0) -> str:
        kind = self._random.randint(0, 9 if depth < 4 else 2)
        if kind == 0:
            return self._random.choice(NUMBERS)
        if kind <= 2:
            return self._path()
        if kind == 3:
            return f"({self._inside()}{self._expression(depth + 1)}{self._inside()})"
        if kind == 4:
            bits = f"{self._maybe()}31{self._random.choice((':', ' : '))}0{self._inside()}"
            return f"({self._expression(depth + 1)}){self._maybe()}[{bits}]"
        if kind == 5:
            arguments = [self._expression(depth + 1) for _ in range(self._random.randint(0, 4))]
            return f"{self._random.choice(NAMES)}{self._maybe()}({self._listed(arguments)}{self._inside()})"
        if kind == 6:
            return f"{self._random.choice(('not ', '~', '- ', '-', '~ -'))}({self._expression(depth + 1)})"
        if kind == 7:
            items = [self._expression(depth + 1) for _ in range(self._random.randint(1, 4))]
            items = [f"{item}{self._maybe()}..{self._maybe()}{item}" if self._chance(0.3) else item for item in items]
            return f"(({self._expression(depth + 1)}) {self._random.choice(('in', 'not in'))} [{self._listed(items)}])"
        operator = self._random.choice(COMPARISONS if kind == 8 else BINARY)
        gap = self._maybe() if operator not in ("or", "and") else " "
        return f"({self._expression(depth + 1)}){gap}{operator}{gap}({self._expression(depth + 1)})"

    def _listed(self, items: list[str]) -> str:
        return "".join(f"{self._maybe()},{self._inside()}{item}" if i else item for i, item in enumerate(items))

    def _names(self) -> str:
        return self._listed(self._random.choices(NAMES, k=self._random.choice((1, 1, 2, 3, 5, 12))))

    # --- statements ---

    def _statement(self, depth: int) -> str:
        gap, choose = self._some(), self._random.choice
        if depth < 4 and self._chance(0.3):
            header = choose((f"{choose(NAMES)}", f"override{gap}{choose(NAMES)}", f"when{gap}{self._expression()}"))
            return self._block(header, depth, scenario=False)
        if depth < 3 and self._chance(0.1):
            return self._block(f"scenario{self._maybe()}{choose(STRINGS)}", depth, scenario=True)
        override = f"override{self._some()}" if self._chance(0.1) else ""
        default = f"{self._maybe()}={self._maybe()}{self._expression()}" if self._chance(0.5) else ""
        targets = [
            "all",
            choose(NUMBERS),
            f"1{self._maybe()}..{self._maybe()}0x9",
            f"pf{gap}when{gap}{self._expression()}",
        ]
        accesses = choose(("", "read ", "read  write "))
        return choose(
            (
                f"{override}{choose(VERBS)}{gap}{self._names()}",
                f"{override}{choose(VERBS)}{gap}{self._names()}",
                f"summary{self._maybe()}{choose(STRINGS)}",
                f"for{gap}cpus{gap}{self._names()}",
                f"extends{gap}{self._names()}",
                f"include{gap}{choose(STRINGS)}",
                f"param{gap}{choose(NAMES)}{self._maybe()}:{self._maybe()}u64{default}",
                f"{choose(('intercept', 'pass'))}{gap}{accesses}{self._listed(choose((targets, targets[:1])))}",
                f"{override}{self._path()}{self._maybe()}={self._maybe()}{self._expression()}",
                f"{self._path()}{self._maybe()}={self._maybe()}param{gap}q{self._maybe()}:{self._maybe()}u16{default}",
            )
        )  # fmt: skip

    def _step(self, depth: int) -> str:
        gap, choose = self._some(), self._random.choice
        if depth < 4 and self._chance(0.2):
            header = choose((f"on{gap}cpu{gap}{self._expression()}", f"on{gap}exit{gap}hlt"))
            return self._block(header, depth, scenario=True)
        operands = self._listed(
            [choose((self._expression(), f"[{self._expression()}]")) for _ in range(choose((1, 2)))]
        )
        values = self._listed([self._expression() for _ in range(3)])
        holds = [f"exit hlt where{gap}{self._expression()}", "no exit", self._expression(), "exit nmi"]
        return choose(
            (
                f"set{gap}{choose(NAMES)}{self._maybe()}={self._maybe()}{self._expression()}",
                f"guest{gap}{choose(('mov', 'in', 'hlt'))}{gap}{operands}",
                f"expect{gap}{self._listed(choose((holds, holds[:1], holds[2:])))}",
                f"event{gap}nmi{choose(('', gap + self._expression()))}",
                f"memory{gap}{self._expression()}{self._maybe()}={values}",
                "resume",
                f"vmxon{gap}{operands}",
            )
        )

    def _block(self, header: str, depth: int, *, scenario: bool) -> str:
        write = self._step if scenario else self._statement
        statements = [write(depth + 1) for _ in range(self._random.choice((0, 1, 1, 2, 4)))]
        if self._chance(0.3) and "\n" not in "".join(statements):
            return f"{header}{self._maybe()}{{{self._maybe()}{' ; '.join(statements)}{self._maybe()}}}"
        return f"{header}{self._maybe()}{{{self._between(any_=True)}{self._joined(statements)}}}"
