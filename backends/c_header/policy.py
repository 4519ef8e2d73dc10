"""A policy as C: its parameters, its pages, what it wants under which condition, and the values of its fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vmcsc.architecture.model import Bitmap, Field, Region
from vmcsc.backends.c_header.capabilities import capability_leaf, exists_condition, word_macro
from vmcsc.backends.c_header.text import comment_text, heading, hex_constant, macro, page_rows
from vmcsc.expression import nodes
from vmcsc.expression.emit_c import LeafName, emit_c
from vmcsc.policy.model import Painting, Policy
from vmcsc.resolve.fields import bits_painted, sets_bits
from vmcsc.vmcs import Vmcs

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


class _PolicyPart:
    def __init__(self, vmcs: Vmcs, prefix: str) -> None:
        self._vmcs = vmcs
        self._policy: Policy = vmcs.policy
        self._db = vmcs.database
        self._prefix = prefix
        self._leaf: LeafName = capability_leaf(
            self._db, {nodes.Parameter: self._parameter, nodes.CpuFact: self._fact}
        )
        self._fields = self._all_fields()

    def text(self) -> str:
        parts = [
            heading(f"Policy {self._policy.name}"),
            *(self._page(name, page) for name, page in self._vmcs.pages.items()),
            self._arguments(),
            self._defaults(),
            self._resolved(),
            self._wishes(),
            self._resolve_fields(),
            self._resolve(),
            self._write(),
            self._apply(),
        ]
        return "\n".join(parts)

    # --- what the caller gives ---

    def _parameter(self, node: nodes.Leaf) -> str:
        assert isinstance(node, nodes.Parameter)
        return _narrowed(f"(uint64_t)a->param_{node.name}", node.width)

    def _fact(self, node: nodes.Leaf) -> str:
        assert isinstance(node, nodes.CpuFact)
        return _narrowed(f"(uint64_t)a->cpu_{node.fact.name}", node.width)

    def _facts(self) -> dict[str, nodes.CpuFact]:
        """The facts of the processor that conditions and values ask for, which no MSR tells."""
        found = {}
        for node in self._expressions():
            for leaf in nodes.leaves(node):
                if isinstance(leaf, nodes.CpuFact):
                    found[leaf.fact.name] = leaf
        return found

    def _expressions(self) -> Iterator[nodes.Node]:
        conditioned = (*self._policy.stances, *self._policy.assignments, *self._policy.paintings)
        yield from (item.condition for item in conditioned if item.condition is not None)
        yield from (assignment.value for assignment in self._policy.assignments)
        yield from (p.default for p in self._policy.parameters.values() if p.default is not None)

    def _arguments(self) -> str:
        members = [
            f"    {_type(p.width)} param_{name}; /* {'must be given' if p.default is None else 'has a default'} */"
            for name, p in self._policy.parameters.items()
        ]
        members += [
            f"    {_type(leaf.fact.width)} cpu_{name}; /* {comment_text(leaf.fact.sdm)} */"
            for name, leaf in self._facts().items()
        ]
        members += [
            f"    uint64_t page_{name}; /* physical address of {self._prefix}_{name} */" for name in self._vmcs.pages
        ]
        members = members or ["    uint8_t unused; /* this policy needs nothing */"]
        return (
            "/* What the policy needs to be told. */\n"
            f"struct {self._prefix}_arguments {{\n" + "\n".join(members) + "\n};\n"
        )

    def _defaults(self) -> str:
        lines = [f"    a->cpu_{name} = 0u;" for name in self._facts()]
        lines += [f"    a->page_{name} = 0u;" for name in self._vmcs.pages]
        for name, parameter in self._policy.parameters.items():
            value = "0u" if parameter.default is None else emit_c(parameter.default, self._leaf)
            lines.append(f"    a->param_{name} = ({_type(parameter.width)}){value};")
        lines = lines or ["    a->unused = 0u;"]
        return (
            "/* Fill in the defaults; what has none becomes 0. */\n"
            f"static inline void {self._prefix}_defaults(const struct vmcsc_capabilities *c, "
            f"struct {self._prefix}_arguments *a)\n{{\n    (void)c;\n" + "\n".join(lines) + "\n}\n"
        )

    def _page(self, name: str, page: bytes) -> str:
        return (
            f"/* The page whose physical address goes to {name}: place it on a 4-KiB boundary. */\n"
            f"static const VMCSC_PAGE_ALIGNED uint8_t {self._prefix}_{name}[{len(page)}] = {{\n{page_rows(page)}\n}};\n"
        )

    # --- what the policy wants ---

    def _wishes(self) -> str:
        unconditional: dict[tuple[str, str], int] = {}
        conditional: dict[str, list[str]] = {}
        for stance in self._policy.stances:
            mask = _MASKS[stance.verb]
            if stance.condition is None:
                key = (mask, stance.control.word)
                unconditional[key] = unconditional.get(key, 0) | stance.control.mask
            else:
                condition = emit_c(stance.condition, self._leaf)
                line = f"w->{mask}[{word_macro(stance.control.word)}] |= {hex_constant(stance.control.mask, 64)};"
                conditional.setdefault(condition, []).append(line)
        lines = [f"    w->{mask}[{word_macro(word)}] = {hex_constant(m, 64)};" for (mask, word), m in unconditional.items()]
        for condition, stances in conditional.items():
            inner = "\n".join(f"        {line}" for line in dict.fromkeys(stances))
            lines.append(f"    if ({condition} != 0u) {{\n{inner}\n    }}")
        return (
            f"static inline void {self._prefix}_wishes(const struct vmcsc_capabilities *c,\n"
            f"    const struct {self._prefix}_arguments *a, struct vmcsc_wishes *w)\n{{\n"
            "    unsigned word;\n    (void)c;\n    (void)a;\n    for (word = 0u; word < VMCSC_WORDS; word++) {\n"
            + "".join(f"        w->{mask}[word] = 0u;\n" for mask in _MASKS.values())
            + "    }\n" + "\n".join(lines) + "\n}\n"
        )

    # --- fields ---

    def _all_fields(self) -> list[Field]:
        names = {assignment.field.name for assignment in self._policy.assignments} | set(self._vmcs.pages)
        for bitmap in self._field_bitmaps():
            names |= set(bitmap.fields)
            if bitmap.qualified is not None:
                names |= {bitmap.qualified.mask, bitmap.qualified.match}
        return [field for field in self._db.fields.values() if field.name in names]

    def _field_bitmaps(self) -> list[Bitmap]:
        used = {p.bitmap.name for p in self._policy.paintings}
        return [b for b in self._db.bitmaps.values() if b.storage == "field" and b.name in used]

    def _resolved(self) -> str:
        size = max(1, len(self._fields))
        encodings = ", ".join(f"VMCSC_FIELD_{macro(field.name)}" for field in self._fields) or "0u"
        return (
            f"#define {macro(self._prefix)}_FIELDS {len(self._fields)}u\n\n"
            f"/* The policy on this processor: the control words, and the fields besides them in writing order. */\n"
            f"struct {self._prefix}_vmcs {{\n    struct vmcsc_result result;\n"
            f"    uint64_t value[{size}];\n    uint8_t present[{size}];\n}};\n\n"
            f"static const uint32_t {self._prefix}_fields[{size}] = {{{encodings}}};\n"
        )

    def _resolve_fields(self) -> str:
        body = "".join(self._field(number, field) for number, field in enumerate(self._fields))
        return (
            f"static inline void {self._prefix}_resolve_fields(const struct vmcsc_capabilities *c,\n"
            f"    const struct {self._prefix}_arguments *a, struct {self._prefix}_vmcs *v)\n{{\n"
            f"    uint64_t value;\n    (void)c;\n    (void)a;\n    (void)v;\n    value = 0u;\n    (void)value;\n{body}}}\n"
        )

    def _field(self, number: int, field: Field) -> str:
        lines = [f"    v->value[{number}] = 0u; /* {field.name} */", f"    v->present[{number}] = 0u;"]
        if field.name in self._vmcs.pages:
            lines += [f"    v->value[{number}] = a->page_{field.name};", f"    v->present[{number}] = 1u;"]
        elif any(assignment.field is field for assignment in self._policy.assignments):
            lines += list(self._assigned(number, field))
        else:
            lines += list(self._painted(number, field))
        if field.exists is not None:
            lines += [f"    if ({exists_condition(field, self._db)} == 0u)", f"        v->present[{number}] = 0u;"]
        return "\n".join(lines) + "\n"

    def _assigned(self, number: int, field: Field) -> Iterator[str]:
        for assignment in self._policy.assignments:
            if assignment.field is not field:
                continue
            value = emit_c(assignment.value, self._leaf)
            condition = "1u" if assignment.condition is None else emit_c(assignment.condition, self._leaf)
            yield (
                f"    if ({condition} != 0u) {{\n        value = {value};\n"
                f"        if (v->present[{number}] && v->value[{number}] != value)\n"
                f"            v->result.conflicting_field = {self._prefix}_fields[{number}];\n"
                f"        else\n            v->value[{number}] = value;\n        v->present[{number}] = 1u;\n    }}"
            )

    def _painted(self, number: int, field: Field) -> Iterator[str]:
        yield f"    v->present[{number}] = 1u;"
        for bitmap in self._field_bitmaps():
            paintings = [p for p in self._policy.paintings if p.bitmap is bitmap]
            for region in bitmap.regions:
                if region.field == field.name:
                    yield from (self._paint(number, region, painting) for painting in paintings)
            qualified = bitmap.qualified
            if qualified is not None and field.name in (qualified.mask, qualified.match):
                vector = self._db.exceptions[qualified.exception].vector
                yield from self._tests(number, paintings, vector, mask=field.name == qualified.mask)

    def _paint(self, number: int, region: Region, painting: Painting) -> str:
        bits = hex_constant(bits_painted(painting, region), 64)
        change = f"v->value[{number}] |= {bits};" if sets_bits(painting) else f"v->value[{number}] &= ~{bits};"
        return self._if(painting, change)

    def _tests(self, number: int, paintings: Iterable[Painting], vector: int, *, mask: bool) -> Iterator[str]:
        for painting in paintings:
            if any(first <= vector <= last for first, last in painting.ranges):
                test = painting.test
                bits = 0 if test is None else test.mask if mask else test.match
                yield self._if(painting, f"v->value[{number}] = {hex_constant(bits, 64)};")

    def _if(self, painting: Painting, statement: str) -> str:
        if painting.condition is None:
            return f"    {statement}"
        return f"    if ({emit_c(painting.condition, self._leaf)} != 0u)\n        {statement}"

    # --- the functions that are called ---

    def _resolve(self) -> str:
        p = self._prefix
        return (
            f"/* What the policy comes to on the processor with capabilities `c`. Returns VMCSC_OK, or what is wrong. */\n"
            f"static inline int {p}_resolve(const struct vmcsc_capabilities *c, const struct {p}_arguments *a,\n"
            f"    struct {p}_vmcs *v)\n{{\n"
            "    struct vmcsc_wishes wishes;\n    unsigned word;\n    int outcome;\n"
            "    for (word = 0u; word < VMCSC_WORDS; word++) {\n"
            "        v->result.must_be_1[word] = vmcsc_must_be_1(c, word);\n"
            "        v->result.may_be_1[word] = vmcsc_may_be_1(c, word);\n    }\n"
            f"    {p}_wishes(c, a, &wishes);\n    outcome = vmcsc_settle(&wishes, &v->result);\n"
            f"    {p}_resolve_fields(c, a, v);\n"
            "    if (outcome == VMCSC_OK && v->result.conflicting_field != 0u)\n        return VMCSC_CONFLICT;\n"
            "    return outcome;\n}\n"
        )

    def _write(self) -> str:
        p = self._prefix
        return (
            "/* VMWRITE the control words, then the fields. Returns VMCSC_OK or VMCSC_WRITE_FAILED. */\n"
            f"static inline int {p}_write(const struct vmcsc_capabilities *c, struct {p}_vmcs *v,\n"
            "    vmcsc_vmwrite_function vmwrite, void *context)\n{\n"
            "    unsigned field;\n    int outcome = vmcsc_write_words(c, &v->result, vmwrite, context);\n"
            f"    for (field = 0u; outcome == VMCSC_OK && field != {macro(p)}_FIELDS; field++) {{\n"
            f"        if (v->present[field] && vmwrite(context, {p}_fields[field], v->value[field]) != 0) {{\n"
            f"            v->result.failed_field = {p}_fields[field];\n            v->result.failed = 1u;\n"
            "            outcome = VMCSC_WRITE_FAILED;\n        }\n    }\n    return outcome;\n}\n"
        )

    def _apply(self) -> str:
        p = self._prefix
        return (
            "/* Read the capabilities, resolve, and write where everything is granted. `v` tells what became of it. */\n"
            f"static inline int {p}_apply(const struct {p}_arguments *a, struct {p}_vmcs *v,\n"
            "    vmcsc_rdmsr_function rdmsr, vmcsc_vmwrite_function vmwrite, void *context)\n{\n"
            "    struct vmcsc_capabilities c;\n    int outcome;\n    vmcsc_read_capabilities(&c, rdmsr, context);\n"
            f"    outcome = {p}_resolve(&c, a, v);\n"
            f"    return outcome == VMCSC_OK ? {p}_write(&c, v, vmwrite, context) : outcome;\n}}\n"
        )


def _type(width: int) -> str:
    return next(f"uint{size}_t" for size in (8, 16, 32, 64) if size >= width)


def _narrowed(text: str, width: int) -> str:
    return text if width in (8, 16, 32, 64) else f"({text} & {hex_constant((1 << width) - 1, 64)})"
