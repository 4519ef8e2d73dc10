"""The fields of a policy besides the control words, as C: assignments, exceptions, addresses of pages."""

from __future__ import annotations

from collections.abc import Iterator

from vmcsc.architecture.model import Bitmap, Field, Region
from vmcsc.expression import nodes
from vmcsc.expression.emit_c import LeafName, constant, emit_c
from vmcsc.policy.model import Painting
from vmcsc.resolve.fields import bits_painted, sets_bits
from vmcsc.vmcs import Vmcs

from .expressions import exists, guarded
from .text import CAPABILITIES, comment_text, function, macro


class FieldPart:
    """`fields` are those that the policy may write, in the order in which they are written."""

    def __init__(self, vmcs: Vmcs, prefix: str, leaf: LeafName) -> None:
        self._vmcs = vmcs
        self._policy = vmcs.policy
        self._db = vmcs.database
        self._prefix = prefix
        self._leaf = leaf
        self.fields = sorted(self._all(), key=lambda field: field.encoding)

    def _all(self) -> Iterator[Field]:
        names = {assignment.field.name for assignment in self._policy.assignments} | set(self._vmcs.pages)
        for bitmap in self._field_bitmaps():
            names |= set(bitmap.fields)
            if bitmap.qualified is not None:
                names |= {bitmap.qualified.mask, bitmap.qualified.match}
        return (self._db.fields[name] for name in names)

    def _field_bitmaps(self) -> list[Bitmap]:
        used = {p.bitmap.name for p in self._policy.paintings}
        return [b for b in self._db.bitmaps.values() if b.storage == "field" and b.name in used]

    def structure(self) -> str:
        members = "    struct vmcsc_result result;\n"
        if self.fields:
            members += f"    struct vmcsc_field fields[{len(self.fields)}];\n"
        else:
            members += "    struct vmcsc_field fields[1]; /* none is in use */\n"
        return (
            "/* The policy on one processor: the control words, then the other fields in the order of writing. */\n"
            f"struct {self._prefix}_vmcs {{\n{members}}};\n"
        )

    def function(self) -> str:
        p = self._prefix
        body = "".join(self._field(number, field) for number, field in enumerate(self.fields))
        declaration = "    struct vmcsc_field *f;\n" if self.fields else ""
        given, result = f"const struct {p}_arguments *a", f"struct {p}_vmcs *v"
        return (
            f"{function('void', f'{p}_resolve_fields', CAPABILITIES, given, result)}"
            f"{{\n{declaration}    (void)c;\n    (void)a;\n    (void)v;\n{body}}}\n"
        )

    def _field(self, number: int, field: Field) -> str:
        assigned = any(assignment.field is field for assignment in self._policy.assignments)
        encoding = f"VMCSC_FIELD_{macro(field.name)}"
        text = f"\n    f = vmcsc_begin_field(&v->fields[{number}], {encoding}, {int(not assigned)}u);\n"
        if assigned:
            text += self._assigned(field)
        elif field.name in self._vmcs.pages:
            text += f"    f->value = a->page_{field.name};\n"
        else:
            text += self._painted(field)
        asked = exists(field, self._db)
        if asked is not None:
            text += guarded(nodes.Invert(1, asked), self._leaf, ["f->present = 0u;"])
        return text

    def _assigned(self, field: Field) -> str:
        text = ""
        for assignment in self._policy.assignments:
            if assignment.field is field:
                value = emit_c(assignment.value, self._leaf)
                text += guarded(assignment.condition, self._leaf, [f"vmcsc_assign(f, {value}, &v->result);"])
        return text

    def _painted(self, field: Field) -> str:
        text = ""
        for bitmap in self._field_bitmaps():
            paintings = [p for p in self._policy.paintings if p.bitmap is bitmap]
            for region in bitmap.regions:
                if region.field == field.name:
                    text += "".join(self._paint(region, painting) for painting in paintings)
            qualified = bitmap.qualified
            if qualified is not None and field.name in (qualified.mask, qualified.match):
                vector = self._db.exceptions[qualified.exception].vector
                about = [p for p in paintings if any(first <= vector <= last for first, last in p.ranges)]
                text += "".join(self._test(painting, mask=field.name == qualified.mask) for painting in about)
        return text

    def _paint(self, region: Region, painting: Painting) -> str:
        bits = constant(bits_painted(painting, region))
        change = f"f->value |= {bits};" if sets_bits(painting) else f"f->value &= ~{bits};"
        verb = "intercept" if painting.intercept else "pass"
        said = comment_text(f"{verb} {painting.span.text}")
        return guarded(painting.condition, self._leaf, [f"{change} /* {said} */"])

    def _test(self, painting: Painting, *, mask: bool) -> str:
        test = painting.test
        bits = 0 if test is None else test.mask if mask else test.match
        return guarded(painting.condition, self._leaf, [f"f->value = {constant(bits)};"])
