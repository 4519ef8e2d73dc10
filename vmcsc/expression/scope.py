"""What names mean in an expression: MSRs, facts of the processor, and where allowed controls and parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import TYPE_CHECKING

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.architecture.model import Area, Bits, Control, Field, Layout
from vmcsc.diagnostic import Code
from vmcsc.expression import nodes
from vmcsc.records import dataclass, field

if TYPE_CHECKING:
    from vmcsc.architecture.operation import Register


@dataclass(frozen=True, slots=True)
class Unresolved:
    """Why a name means nothing here; `near` are the names among which the user's may be misspelt.

    `reported`: the mistake is another one, which was reported before.
    """

    code: Code
    message: str
    near: tuple[str, ...] = ()
    help: str | None = None
    reported: bool = False


@dataclass(frozen=True)
class Scope:
    """The names of `database` that an expression may use.

    `controls`: whether the settings of controls may be read (rules may, policies may not). `parameters`: the width of
    each. `state`: whether fields, memory and the processor's state may be read. `element`: the element of an area that
    a rule is about, by the name it gives it. `bound`: names that stand for expressions already bound. `operands`: what
    else may be read (an error code), by name with width and bits. `later`: parameters that are declared somewhere,
    perhaps further down. `broken`: names whose declaration is wrong, and reported. `registers`: those of the machine's
    processor, as `register.NAME`.
    """

    database: Database
    controls: bool = False
    parameters: Mapping[str, int] = field(default_factory=dict)
    operands: Mapping[str, tuple[int, Mapping[str, Bits]]] = field(default_factory=dict)
    later: Set[str] = frozenset()
    broken: Set[str] = frozenset()
    state: bool = False
    element: tuple[str, Area] | None = None
    bound: Mapping[str, nodes.Node] = field(default_factory=dict)
    registers: Mapping[str, Register] = field(default_factory=dict)

    def resolve(self, parts: tuple[str, ...]) -> nodes.Node | Unresolved:
        head, rest = parts[0], parts[1:]
        if not rest and head in self.bound:
            return self.bound[head]
        if not rest and head in self.parameters:
            return nodes.Parameter(self.parameters[head], head)
        if head in self.broken:
            return Unresolved(codes.UNKNOWN_NAME, f"`{head}` is not declared as it should be", reported=True)
        if not rest and head in self.later:
            message = f"the parameter `{head}` is declared further down"
            return Unresolved(codes.UNKNOWN_NAME, message, help="declare it before it is used")
        if head in self.operands:
            return self._operand(head, rest)
        if head == "register" and self.registers:
            return self._register(rest)
        if head == "cpu":
            return self._fact(rest)
        if head in self.database.msr_names:
            return self._msr(head, rest)
        if head in self.database.words and len(rest) == 1:
            return self._control(parts)
        if self.state:
            return self._state(head, rest)
        return self._nothing(parts)

    def _state(self, head: str, rest: tuple[str, ...]) -> nodes.Leaf | Unresolved:
        """What only a rule may speak of."""
        if self.element is not None and head == self.element[0]:
            area = self.element[1]
            return self._bits(head, nodes.ElementBits, area, area.size * 8, self.database.layouts[area.layout], rest)
        if head == "processor" and rest:
            state = self.database.state.get(".".join(rest))
            if state is not None:
                return nodes.ProcessorState(state.width, state, values=state.values)
            known = tuple(f"processor.{name}" for name in self.database.state)
            message = f"nothing of the processor's state is named `processor.{'.'.join(rest)}`"
            return Unresolved(codes.UNKNOWN_NAME, message, known)
        item = self.database.fields.get(head)
        if item is not None:
            return self._bits(head, nodes.FieldBits, item, item.width, self.database.layout_of(item), rest)
        return self._nothing((head, *rest))

    def _bits(
        self,
        head: str,
        leaf: type[nodes.FieldBits] | type[nodes.ElementBits],
        of: Field | Area,
        width: int,
        layout: Layout | None,
        rest: tuple[str, ...],
    ) -> nodes.Leaf | Unresolved:
        """The whole of something, or the bits of its layout that `rest` names."""
        if not rest:
            return leaf(width, of, 0, written=head)  # type: ignore[arg-type]
        named = {} if layout is None else layout.by_name
        bits = named.get(".".join(rest))
        if bits is None:
            return Unresolved(codes.UNKNOWN_NAME, f"`{head}` has no bits named `{'.'.join(rest)}`", tuple(named))
        written = f"{head}.{bits.name}"
        return leaf(bits.width, of, bits.low, values=bits.values, written=written)  # type: ignore[arg-type]

    def control(self, parts: tuple[str, ...]) -> Control | Unresolved:
        """The control that `parts` names, by its path or by a bare name that only one word has."""
        if len(parts) == 1:
            found = self.database.controls_by_name.get(parts[0], ())
            if len(found) == 1:
                return found[0]
            if found:
                paths = " or ".join(f"`{control.path}`" for control in found)
                return Unresolved(
                    codes.AMBIGUOUS_NAME, f"`{parts[0]}` is a control of more than one word", help=f"write {paths}"
                )
            return Unresolved(
                codes.UNKNOWN_CONTROL, f"no control is named `{parts[0]}`", tuple(self.database.controls_by_name)
            )
        path = ".".join(parts)
        found_path = self.database.controls.get(path)
        return found_path or Unresolved(
            codes.UNKNOWN_CONTROL, f"no control is named `{path}`", tuple(self.database.controls)
        )

    def _operand(self, head: str, rest: tuple[str, ...]) -> nodes.Leaf | Unresolved:
        width, named = self.operands[head]
        if not rest:
            return nodes.Operand(width, head, 0)
        bits = named.get(".".join(rest))
        if bits is None:
            return Unresolved(codes.UNKNOWN_NAME, f"`{head}` has no bits named `{'.'.join(rest)}`", tuple(named))
        return nodes.Operand(bits.width, head, bits.low, values=bits.values)

    def _register(self, rest: tuple[str, ...]) -> nodes.Leaf | Unresolved:
        name = rest[0] if rest else ""
        register = self.registers.get(name)
        if register is None:
            known = tuple(f"register.{one}" for one in self.registers)
            return Unresolved(codes.UNKNOWN_NAME, f"no register is named `register.{name}`", known)
        if not rest[1:]:
            return nodes.RegisterBits(register.width, register, 0, written=f"register.{name}")
        layout = None if register.layout is None else self.database.layouts[register.layout]
        named = {} if layout is None else layout.by_name
        bits = named.get(".".join(rest[1:]))
        if bits is None:
            message = f"`register.{name}` has no bits named `{'.'.join(rest[1:])}`"
            return Unresolved(codes.UNKNOWN_NAME, message, tuple(named))
        written = f"register.{name}.{bits.name}"
        return nodes.RegisterBits(bits.width, register, bits.low, values=bits.values, written=written)

    def _fact(self, rest: tuple[str, ...]) -> nodes.Leaf | Unresolved:
        fact = self.database.facts.get(".".join(rest))
        if not rest:
            return Unresolved(
                codes.UNKNOWN_NAME, "`cpu` alone is no value", help="write a fact of it, as in `cpu.NAME`"
            )
        if fact is None:
            message = f"nothing is known of processors by the name `cpu.{'.'.join(rest)}`"
            return Unresolved(codes.UNKNOWN_NAME, message, tuple(f"cpu.{name}" for name in self.database.facts))
        return nodes.CpuFact(fact.width, fact)

    def _msr(self, head: str, rest: tuple[str, ...]) -> nodes.Leaf | Unresolved:
        msr = self.database.msr_names[head]
        if not msr.capability:
            message = f"{msr.sdm} is not a capability MSR, so its value is not known when a policy is compiled"
            return Unresolved(codes.OUT_OF_SCOPE, message)
        if not rest:
            return nodes.MsrBits(64, msr, 0)
        bits = msr.by_name.get(".".join(rest))
        if bits is None:
            return Unresolved(codes.UNKNOWN_NAME, f"{msr.sdm} has no bits named `{'.'.join(rest)}`", tuple(msr.by_name))
        return nodes.MsrBits(bits.width, msr, bits.low, values=bits.values)

    def _control(self, parts: tuple[str, ...]) -> nodes.Leaf | Unresolved:
        control = self.control(parts)
        if isinstance(control, Unresolved):
            return control
        if not self.controls:
            return self._resolved_value(control.path, f"ask `supported({control.path})` instead")
        return nodes.ControlBit(1, control)

    def _nothing(self, parts: tuple[str, ...]) -> Unresolved:
        text = ".".join(parts)
        if text in self.database.words:
            help = f"name a control of it, as in `supported({text}.NAME)`"
            return Unresolved(codes.UNKNOWN_NAME, f"`{text}` is a control word and has no value here", help=help)
        if not self.controls and parts[0] in self.database.controls_by_name:
            return self._resolved_value(text, f"ask `supported({text})` instead")
        if parts[0] in self.database.fields:
            return self._resolved_value(text, "declare a `param` and use it in both places")
        return Unresolved(codes.UNKNOWN_NAME, f"nothing is named `{text}` here", tuple(self.names()))

    @staticmethod
    def _resolved_value(text: str, help: str) -> Unresolved:
        message = f"`{text}` is a resolved value; expressions of a policy may not depend on those"
        return Unresolved(codes.OUT_OF_SCOPE, message, help=help)

    def names(self) -> Iterable[str]:
        """Every name that may stand alone or begin a path, for suggestions."""
        yield from self.parameters
        yield from self.operands
        yield from (msr.name for msr in self.database.capability_msrs)
        yield from (f"cpu.{name}" for name in self.database.facts)
        if self.controls:
            yield from self.database.controls
        if self.state:
            yield from self.database.fields
            yield from (f"processor.{name}" for name in self.database.state)
