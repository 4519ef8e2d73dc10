"""A policy as C: its pages, what it needs to be told, what it wants, and the functions that are called."""

from __future__ import annotations

from collections.abc import Iterator

from vmcsc.architecture.model import Control
from vmcsc.expression import nodes
from vmcsc.expression.emit_c import LeafName, emit_c
from vmcsc.policy.model import Parameter, Stance
from vmcsc.vmcs import Vmcs

from .expressions import capability_leaf, control_macro, cut, exists, guarded, word_macro
from .fields import FieldPart
from .needs import NeedsPart
from .text import CAPABILITIES, comment_text, function, heading, page_rows, wrapped

_MASKS = {
    "require": "required",
    "prefer": "preferred",
    "forbid": "forbidden",
    "avoid": "avoided",
    "allow": "allowed",
}


def policy_part(vmcs: Vmcs, prefix: str) -> str:
    """The structures and functions of one policy; all their names begin with `prefix`."""
    return _PolicyPart(vmcs, prefix).text()


def usage(vmcs: Vmcs, prefix: str) -> Iterator[str]:
    """How the functions are called, a line each."""
    yield f"    struct {prefix}_arguments arguments;"
    yield f"    struct {prefix}_vmcs vmcs;"
    yield f"    {prefix}_defaults(&arguments);"
    yield from (f"    arguments.{member} = ...;" for member in _PolicyPart(vmcs, prefix).to_be_given())
    yield f"    if ({prefix}_apply(&arguments, &vmcs, rdmsr, vmwrite, context) != VMCSC_OK)"
    yield "        vmcs.result tells what is wrong;"
    yield ""
    yield "rdmsr and vmwrite are functions of yours, which get your context. The steps can be called one by one too:"
    yield f"vmcsc_read_capabilities(), {prefix}_resolve(), {prefix}_write()."


class _PolicyPart:
    def __init__(self, vmcs: Vmcs, prefix: str) -> None:
        self._vmcs = vmcs
        self._policy = vmcs.policy
        self._db = vmcs.database
        self._prefix = prefix
        self._leaf: LeafName = capability_leaf({nodes.Parameter: _parameter, nodes.CpuFact: _fact})
        self._fields = FieldPart(vmcs, prefix, self._leaf)
        self._needs = NeedsPart(vmcs, prefix, self._leaf)
        self._facts = self._asked_facts()

    def text(self) -> str:
        parts = [
            heading(f"Policy {self._policy.name}"),
            *(self._page(name, page) for name, page in self._vmcs.pages.items()),
            self._arguments(),
            self._defaults(),
            self._identity(),
            self._derived(),
            self._wishes(),
            self._fields.structure(),
            self._fields.function(),
            self._needs.text(),
            self._calls(),
        ]
        return "\n".join(part for part in parts if part)

    # --- what the caller gives ---

    def _asked_facts(self) -> dict[str, nodes.CpuFact]:
        """The facts of the processor that conditions and values ask for, which no MSR tells."""
        found = {}
        for node in self._expressions():
            for leaf in nodes.leaves(node):
                if isinstance(leaf, nodes.CpuFact):
                    found[leaf.fact.name] = leaf
        return found

    def _expressions(self) -> Iterator[nodes.Node]:
        policy = self._policy
        yield from (stance.condition for stance in policy.stances if stance.condition is not None)
        yield from (painting.condition for painting in policy.paintings if painting.condition is not None)
        yield from (assignment.condition for assignment in policy.assignments if assignment.condition is not None)
        yield from (assignment.value for assignment in policy.assignments)
        yield from (p.default for p in policy.parameters.values() if p.default is not None)
        yield from self._needs.expressions()
        for field in self._fields.fields:
            asked = exists(field, self._db)
            if asked is not None:
                yield asked

    def to_be_given(self) -> Iterator[str]:
        """The arguments that have no default."""
        yield from (f"cpu_{name}" for name in self._facts)
        for name, parameter in self._policy.parameters.items():
            if parameter.default is None or _is_derived(parameter):
                yield f"param_{name}"
        yield from (f"page_{name}" for name in self._vmcs.pages)

    def _page(self, name: str, page: bytes) -> str:
        symbol = f"{self._prefix}_{name}"
        return (
            f"/* The page whose physical address goes to {name}. */\n"
            f"VMCSC_PAGE static const uint8_t {symbol}[] = {{\n{page_rows(page)}\n}};\n\n"
            f'VMCSC_STATIC_ASSERT(sizeof({symbol}) == {len(page)}, "a page has {len(page)} bytes");\n'
        )

    def _arguments(self) -> str:
        members = [(_type(leaf.fact.width), f"cpu_{name}", leaf.fact.sdm) for name, leaf in self._facts.items()]
        members += [(_type(p.width), f"param_{name}", self._about(p)) for name, p in self._policy.parameters.items()]
        members += [
            ("uint64_t", f"page_{name}", f"physical address of {self._prefix}_{name}") for name in self._vmcs.pages
        ]
        members = members or [("uint8_t", "unused", "this policy needs nothing")]
        longest = max(len(f"{type_} {name};") for type_, name, _ in members)
        lines = (f"    {f'{type_} {name};':<{longest}} /* {comment_text(about)} */\n" for type_, name, about in members)
        opening = f"/* What the policy needs to be told. */\nstruct {self._prefix}_arguments {{\n"
        return f"{opening}{''.join(lines)}}};\n"

    def _defaults(self) -> str:
        lines = [f"a->cpu_{name} = 0u;" for name in self._facts]
        for name, parameter in self._policy.parameters.items():
            default = parameter.default
            value = "0u" if default is None or _is_derived(parameter) else self._default(parameter, default)
            lines.append(f"a->param_{name} = {value};")
        lines += [f"a->page_{name} = 0u;" for name in self._vmcs.pages]
        body = "".join(f"    {line}\n" for line in lines or ["a->unused = 0u;"])
        return (
            "/* Fill in the defaults; what has none becomes 0. Then set what you know better. */\n"
            f"static inline void {self._prefix}_defaults(struct {self._prefix}_arguments *a)\n{{\n{body}}}\n"
        )

    def _identity(self) -> str:
        """A function for those whose pages lie where they are linked; only where integers can hold a pointer."""
        p = self._prefix
        lines = [f"a->page_{name} = (uint64_t)(uintptr_t){p}_{name};" for name in self._vmcs.pages] or ["(void)a;"]
        body = "".join(f"    {line}\n" for line in lines)
        return (
            "/* Fill in the pages' addresses, where a linear address is a physical one. */\n"
            f"#ifdef UINTPTR_MAX\n{function('void', f'{p}_identity_pages', f'struct {p}_arguments *a')}"
            f"{{\n{body}}}\n#endif\n"
        )

    def _default(self, parameter: Parameter, default: nodes.Node) -> str:
        return f"({_type(parameter.width)}){emit_c(default, self._leaf)}"

    def _derived(self) -> str:
        """A function for each default that follows from the processor or from other parameters."""
        parts = []
        for parameter in self._policy.parameters.values():
            if parameter.default is None or not _is_derived(parameter):
                continue
            given = f"const struct {self._prefix}_arguments *a"
            value = wrapped(f"return {self._default(parameter, parameter.default)};", "    ", "        ")
            name = f"{self._prefix}_default_{parameter.name}"
            parts.append(
                f"/* The default of param_{parameter.name}, which follows from the processor or other arguments. */\n"
                f"{function(_type(parameter.width), name, CAPABILITIES, given)}"
                f"{{\n    (void)c;\n    (void)a;\n{value}\n}}\n"
            )
        return "\n".join(parts)

    def _about(self, parameter: Parameter) -> str:
        shown = f"{parameter.width} bits" if parameter.width != _size(parameter.width) else ""
        if parameter.default is None:
            about = "must be given"
        elif _is_derived(parameter):
            about = f"must be given: {self._prefix}_default_{parameter.name}() or another value"
        else:
            about = "has a default"
        return ", ".join(part for part in (shown, about) if part)

    # --- what the policy wants ---

    def _wishes(self) -> str:
        given = f"const struct {self._prefix}_arguments *a"
        return (
            "/* The statements of the policy that hold on this processor. */\n"
            f"{function('void', f'{self._prefix}_wishes', CAPABILITIES, given, 'struct vmcsc_wishes *w')}"
            "{\n    unsigned word;\n    (void)c;\n    (void)a;\n    for (word = 0u; word < VMCSC_WORDS; word++) {\n"
            + "".join(f"        w->{mask}[word] = 0u;\n" for mask in _MASKS.values())
            + "    }\n"
            + "".join(self._conditional(node, stances) for node, stances in self._by_condition())
            + "}\n"
        )

    def _by_condition(self) -> Iterator[tuple[nodes.Node | None, list[Stance]]]:
        """The stances under each condition, those that always hold first: masks only grow, so order has no effect."""
        grouped: dict[str, tuple[nodes.Node | None, list[Stance]]] = {"": (None, [])}
        for stance in self._policy.stances:
            text = "" if stance.condition is None else emit_c(stance.condition, self._leaf)
            grouped.setdefault(text, (stance.condition, []))[1].append(stance)
        yield from grouped.values()

    def _conditional(self, node: nodes.Node | None, stances: list[Stance]) -> str:
        together: dict[tuple[str, str], dict[str, Control]] = {}
        for stance in stances:
            key = (stance.control.word, _MASKS[stance.verb])
            together.setdefault(key, {})[stance.control.name] = stance.control
        order = [word.name for word in self._db.active_order]
        lines = []
        for (word, mask), controls in sorted(together.items(), key=lambda item: order.index(item[0][0])):
            named = [control_macro(control) for control in controls.values()]
            lines += [f"w->{mask}[{word_macro(word)}] |= {name};" for name in named]
        return guarded(node, self._leaf, lines)

    # --- the functions that are called ---

    def _calls(self) -> str:
        p, count = self._prefix, len(self._fields.fields)
        given, result = f"const struct {p}_arguments *a", f"struct {p}_vmcs *v"
        vmwrite, context = "vmcsc_vmwrite_function vmwrite", "void *context"
        needs = ""
        if self._needs:
            needs = f"""    v->result.unmet_needs = {p}_unmet_needs(c, a);
    if (outcome == VMCSC_OK && v->result.unmet_needs != 0u)
        return VMCSC_UNMET;
"""
        return f"""/* What the policy comes to on the processor `c`. Returns VMCSC_OK, or what is wrong. */
{function("int", f"{p}_resolve", CAPABILITIES, given, result)}{{
    struct vmcsc_wishes wishes;
    int outcome;
    {p}_wishes(c, a, &wishes);
    outcome = vmcsc_settle(c, &wishes, &v->result);
    {p}_resolve_fields(c, a, v);
{needs}    return outcome == VMCSC_OK && v->result.field_conflicts ? VMCSC_CONFLICT : outcome;
}}

/* VMWRITE the control words, then the fields. Returns VMCSC_OK or VMCSC_WRITE_FAILED. */
{function("int", f"{p}_write", CAPABILITIES, result, vmwrite, context)}{{
    return vmcsc_write(c, &v->result, v->fields, {count}u, vmwrite, context);
}}

/* Read the capabilities, resolve, and write if everything is granted. `v` tells what became of it. */
{function("int", f"{p}_apply", given, result, "vmcsc_rdmsr_function rdmsr", vmwrite, context)}{{
    struct vmcsc_capabilities c;
    int outcome;
    vmcsc_read_capabilities(&c, rdmsr, context);
    outcome = {p}_resolve(&c, a, v);
    return outcome == VMCSC_OK ? {p}_write(&c, v, vmwrite, context) : outcome;
}}
"""


def _parameter(node: nodes.Leaf) -> str:
    assert isinstance(node, nodes.Parameter)
    return cut(f"(uint64_t)a->param_{node.name}", node.width, of=_size(node.width))


def _fact(node: nodes.Leaf) -> str:
    assert isinstance(node, nodes.CpuFact)
    return cut(f"(uint64_t)a->cpu_{node.fact.name}", node.width, of=_size(node.width))


def _is_derived(parameter: Parameter) -> bool:
    return parameter.default is not None and any(True for _ in nodes.leaves(parameter.default))


def _size(width: int) -> int:
    """The width of the type that holds `width` bits."""
    return next(size for size in (8, 16, 32, 64) if size >= width)


def _type(width: int) -> str:
    return f"uint{_size(width)}_t"
