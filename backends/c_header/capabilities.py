"""Reading the capability MSRs in C, and what they say of the control words."""

from __future__ import annotations

from collections.abc import Iterator

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import ControlWord, Msr
from vmcsc.expression import nodes

from .expressions import (
    capability_leaf,
    exists,
    grouped,
    guarded,
    place,
    word_macro,
)
from .text import defines, heading, hex_constant, listed, macro


def capability_part(database: Database) -> str:
    """The structure of the MSRs, the functions that ask it, and the tables of the control words."""
    words = [(word_macro(word.name), f"{number}u") for number, word in enumerate(database.active_order)]
    parts = [
        heading("What the processor allows"),
        "/* The control words as indexes of arrays, each behind the one that activates it. */\n"
        + defines([*words, ("VMCSC_WORDS", f"{len(words)}u")]),
        "/* Controls of one word. */\nstruct vmcsc_control {\n    unsigned word;\n    uint64_t mask;\n};\n",
        _structure(database),
        _tables(database),
        _settings(database),
        _ALLOWED,
        _read_function(database),
        _has_word(database),
    ]
    return "\n".join(parts)


def _structure(database: Database) -> str:
    longest = max(len(msr.name) for msr in database.capability_msrs)
    members = "".join(
        f"    uint64_t {msr.name + ';':<{longest + 1}} /* {msr.index:#x} */\n" for msr in database.capability_msrs
    )
    return (
        "/* The capability MSRs; 0 for those that the processor does not have. */\n"
        f"struct vmcsc_capabilities {{\n{members}}};\n\n"
        "/* RDMSR of `index`. Called only for MSRs that exist. */\n"
        "typedef uint64_t (*vmcsc_rdmsr_function)(void *context, uint32_t index);\n"
    )


def _tables(database: Database) -> str:
    order = database.active_order
    halves = (f"{int(word.allowed_0)}u, /* {word.name} */" for word in order)
    return (
        "/* The field that holds each word. */\n"
        f"static const uint32_t vmcsc_word_fields[] = {listed(f'VMCSC_FIELD_{macro(w.field)}' for w in order)};\n\n"
        "/* Whether a word's MSR has bits that must be 1 in its lower half, and the bits that may be 1 above them. */\n"
        f"static const uint8_t vmcsc_has_halves[] = {{\n" + "".join(f"    {half}\n" for half in halves) + "};\n\n"
        "/* Reserved controls of the default1 class: 1 wherever that is allowed, as on processors not yet known. */\n"
        f"static const uint64_t vmcsc_reserved_default1[] = "
        f"{listed(hex_constant(w.reserved_default1, 64) for w in order)};\n\n"
        "/* The control that activates each word; mask 0: the word is always in force. */\n"
        f"static const struct vmcsc_control vmcsc_activators[] = {listed(_activator(w, database) for w in order)};\n\n"
        + "".join(
            f"VMCSC_STATIC_ASSERT(sizeof({table}) == VMCSC_WORDS * sizeof({table}[0]),\n"
            '    "one for each control word");\n'
            for table in ("vmcsc_word_fields", "vmcsc_has_halves", "vmcsc_reserved_default1", "vmcsc_activators")
        )
    )


def _activator(word: ControlWord, database: Database) -> str:
    nearest = next(iter(database.activators(word)), None)
    return "{VMCSC_WORDS, 0u}" if nearest is None else f"{{{place(nearest)}}}"


def _settings(database: Database) -> str:
    leaf = capability_leaf()
    cases = []
    for word in database.active_order:
        true_msr = None if word.true_msr is None else database.msrs[word.true_msr]
        lines = [] if true_msr is None else [f"return c->{true_msr.name};"]
        chosen = guarded(exists(true_msr, database), leaf, lines) if true_msr is not None else ""
        body = "".join(f"    {line}\n" for line in (chosen + f"    return c->{word.msr};\n").splitlines())
        cases.append(f"    case {word_macro(word.name)}:\n{body}")
    return (
        "/* The MSR that tells the allowed settings of a control word. */\n"
        "static inline uint64_t vmcsc_settings_msr(const struct vmcsc_capabilities *c, unsigned word)\n"
        "{\n    switch (word) {\n" + "".join(cases) + "    default:\n        return 0u;\n    }\n}\n"
    )


_ALLOWED = """/* The bits of a control word that must be 1. */
static inline uint64_t vmcsc_must_be_1(const struct vmcsc_capabilities *c, unsigned word)
{
    return vmcsc_has_halves[word] ? vmcsc_settings_msr(c, word) & 0xffffffffu : 0u;
}

/* The bits of a control word that may be 1. */
static inline uint64_t vmcsc_may_be_1(const struct vmcsc_capabilities *c, unsigned word)
{
    return vmcsc_settings_msr(c, word) >> (vmcsc_has_halves[word] ? 32 : 0);
}

/* Whether a control may be 1: 1 or 0. */
static inline uint64_t vmcsc_supported(const struct vmcsc_capabilities *c, unsigned word, uint64_t mask)
{
    return (vmcsc_may_be_1(c, word) & mask) != 0u ? 1u : 0u;
}

/* Whether a control must be 1: 1 or 0. */
static inline uint64_t vmcsc_forced(const struct vmcsc_capabilities *c, unsigned word, uint64_t mask)
{
    return (vmcsc_must_be_1(c, word) & mask) != 0u ? 1u : 0u;
}
"""


def _read_function(database: Database) -> str:
    members = "".join(f"    c->{msr.name} = 0u;\n" for msr in database.capability_msrs)
    leaf = capability_leaf()
    reads = "".join(
        guarded(exists(msr, database), leaf, [f"c->{msr.name} = rdmsr(context, VMCSC_MSR_{macro(msr.name)});"])
        for msr in _read_order(database)
    )
    return (
        "/* Read the capability MSRs, each only where those before it say that it exists. */\n"
        "static inline void vmcsc_read_capabilities(struct vmcsc_capabilities *c, vmcsc_rdmsr_function rdmsr,\n"
        "                                           void *context)\n"
        f"{{\n{members}\n{reads}}}\n"
    )


def _read_order(database: Database) -> list[Msr]:
    """The capability MSRs, each behind those that its condition asks."""
    ordered: list[Msr] = []
    open_: list[Msr] = []

    def visit(msr: Msr) -> None:
        if msr in ordered or msr in open_:
            return
        open_.append(msr)
        for needed in _asked(msr, database):
            visit(needed)
        open_.pop()
        ordered.append(msr)

    for msr in database.capability_msrs:
        visit(msr)
    return ordered


def _asked(msr: Msr, database: Database) -> Iterator[Msr]:
    asked = exists(msr, database)
    for leaf in () if asked is None else nodes.leaves(asked):
        if isinstance(leaf, nodes.MsrBits):
            yield leaf.msr
        elif isinstance(leaf, nodes.Supported | nodes.Forced):
            word = database.words[leaf.control.word]
            yield database.msrs[word.msr]
            if word.true_msr is not None:
                yield database.msrs[word.true_msr]


def _has_word(database: Database) -> str:
    leaf = capability_leaf()
    cases = []
    for word in database.active_order:
        asked = exists(database.fields[word.field], database)
        value = "1u" if asked is None else f"{grouped(asked, leaf)} ? 1u : 0u"
        cases.append(f"    case {word_macro(word.name)}:\n        return {value};\n")
    return (
        "/* Whether the processor has the field of a control word. */\n"
        "static inline unsigned vmcsc_has_word(const struct vmcsc_capabilities *c, unsigned word)\n"
        "{\n    switch (word) {\n" + "".join(cases) + "    default:\n        return 0u;\n    }\n}\n"
    )
