"""Functions that read everything the checker can ask a machine for: the fields of a VMCS, and the capability MSRs."""

from __future__ import annotations

from vmcsc.architecture.database import Database
from vmcsc.check.reads import msrs_in_order

from ..c_header.text import wrapped
from .cpu import there


def fill_part(database: Database) -> str:
    """`vmcsc_fill_fields` and `vmcsc_fill_cpu`; what cannot be read stays unknown."""
    fields = ", ".join(f"{{{one.encoding:#06x}u, {one.width}u}}" for one in database.fields.values())
    body = []
    for msr in msrs_in_order(database):
        read = f"if (read(context, {msr.index:#x}u, &cpu->{msr.name}))\n@    known->{msr.name} = ~(uint64_t)0;"
        if msr.exists is None:
            body.append(f"    {read.replace('@', '    ')}")
        else:
            body.append(f"    if ({there(database, msr.exists)} == VMCSC_TRUE)\n        {read.replace('@', ' ' * 8)}")
    return _TEXT.replace("@FIELDS", wrapped(fields, " " * 8, " " * 8)).replace("@MSRS", "\n".join(body))


_TEXT = """/* Reads the field of that encoding with VMREAD, or the MSR of that index: 0 where it cannot be read. */
typedef int (*vmcsc_reader)(void *context, uint32_t number, uint64_t *value);

/* Read every field of the current VMCS. */
static inline void vmcsc_fill_fields(struct vmcsc_state *state, vmcsc_reader read, void *context)
{
    static const uint16_t fields[][2] = {
@FIELDS
    };
    uint64_t *const values = (uint64_t *)(void *)&state->fields;
#ifndef VMCSC_ALL_KNOWN
    uint64_t *const known = (uint64_t *)(void *)&state->fields_known;
#endif
    unsigned i;
    for (i = 0u; i < sizeof(fields) / sizeof(fields[0]); i++) {
        const int done = read(context, fields[i][0], &values[i]);
#ifndef VMCSC_ALL_KNOWN
        known[i] = done ? vmcsc_mask(fields[i][1]) : 0u;
#else
        if (!done)
            values[i] = 0u; /* and not what another VMCS had there */
#endif
    }
}

/* Read every capability MSR that the processor has. Facts that CPUID gives are yours to fill in. */
static inline void vmcsc_fill_cpu(struct vmcsc_cpu *cpu, struct vmcsc_cpu *known, vmcsc_reader read, void *context)
{
@MSRS
}
"""
