"""What rules ask of a processor as C: its capability MSRs and facts, and the answers that follow from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vmcsc.architecture.database import Database
from vmcsc.architecture.model import ControlWord, Msr
from vmcsc.capabilities.cpu import condition_of
from vmcsc.expression import nodes
from vmcsc.expression.emit_c_three import emit_c_three

ASKED = (nodes.AllowedBits, nodes.Supported, nodes.Forced, nodes.MsrBits, nodes.CpuFact)
"""What is the same for every state on one processor."""


def cpu_struct(database: Database) -> str:
    """MSRs and facts by name; a processor that lacks an MSR need not say so."""
    msrs = [f"    uint64_t {msr.name}; /* {msr.index:#x} */" for msr in database.capability_msrs]
    facts = [f"    uint64_t {fact.name};" for fact in database.facts.values()]
    return "/* A processor: capability MSRs and facts. */\nstruct vmcsc_cpu {\n" + "\n".join([*msrs, *facts]) + "\n};\n"


def answers(database: Database, leaves: Iterable[nodes.Leaf]) -> tuple[str, dict[tuple[str | int, ...], str]]:
    """The struct of answers with the function that makes them, and the member for each leaf."""
    members: dict[tuple[str | int, ...], str] = {}
    fields, sets = [], []
    for leaf in leaves:
        if isinstance(leaf, ASKED) and leaf.key not in members:
            members[leaf.key] = name = f"c{len(members)}"
            kind = "vmcsc_truth" if leaf.width == 1 else "vmcsc_value"
            fields.append(f"    {kind} {name}; /* {' '.join(map(str, leaf.key))} */")
            sets.append(f"    answers->{name} = {_answer(leaf)};")
    own = "/* What rules ask of the processor. */\nstruct vmcsc_answers {\n" + "\n".join(fields) + "\n};\n\n"
    body = "\n".join(["    (void)cpu;", "    (void)known;", *sets])
    made = (
        "/* The answers of a processor, of which the bits in `known` are known: once for any number of states. */\n"
        f"static inline void vmcsc_ask({_PARAMETERS}, struct vmcsc_answers *answers)\n{{\n{body}\n}}\n"
    )
    return own + _functions(database) + made, members


_PARAMETERS = "const struct vmcsc_cpu *cpu, const struct vmcsc_cpu *known"
_CALL = "cpu, known"


def _functions(database: Database) -> str:
    """A function for each MSR and each word, which call each other where one tells whether there is another."""
    msrs = list(database.capability_msrs)
    heads = [f"static inline vmcsc_value vmcsc_msr_{msr.name}({_PARAMETERS});" for msr in msrs]
    heads += [f"static inline vmcsc_value vmcsc_{what}_{word.name}({_PARAMETERS});"
              for word in database.words.values() for what in ("must", "may")]  # fmt: skip
    bodies = [*(_msr(msr, database) for msr in msrs), *_words(database)]
    return "\n".join(heads) + "\n\n" + "\n".join(bodies) + "\n"


def there(database: Database, exists: str) -> str:
    """The truth of the condition under which an MSR exists."""
    return emit_c_three(condition_of(database, exists), _answer)


def _msr(msr: Msr, database: Database) -> str:
    """Its value: 0 where it does not exist."""
    lines = [
        "    (void)known;",
        f"    if (VMCSC_TOLD(known, {msr.name}))",
        f"        return vmcsc_v(cpu->{msr.name}, known->{msr.name});",
    ]
    if msr.exists is not None:
        lines += [f"    if ({there(database, msr.exists)} == VMCSC_FALSE)", "        return vmcsc_v(0u, ~(uint64_t)0);"]
    lines.append("    return vmcsc_v(0u, 0u);")
    return f"static inline vmcsc_value vmcsc_msr_{msr.name}({_PARAMETERS})\n{{\n" + "\n".join(lines) + "\n}\n"


def _words(database: Database) -> Iterator[str]:
    for word in database.words.values():
        for what in ("must", "may"):
            head = f"static inline vmcsc_value vmcsc_{what}_{word.name}({_PARAMETERS})"
            yield f"{head}\n{{\n{_allowed(word, what, database)}}}\n"


def _allowed(word: ControlWord, what: str, database: Database) -> str:
    """The settings by the TRUE MSR where there is one; what both say where that is not known."""
    plain = _settings(word, word.msr, what)
    used = "" if word.allowed_0 or what == "may" else "    (void)cpu;\n    (void)known;\n"
    if word.true_msr is None:
        return f"{used}    return {plain};\n"
    true, msr = _settings(word, word.true_msr, what), database.msrs[word.true_msr]
    if msr.exists is None:
        return f"    return {true};\n"
    return (
        f"    vmcsc_truth there = {there(database, msr.exists)};\n"
        f"    vmcsc_value a = {true}, b = {plain};\n"
        "    if (there == VMCSC_MAYBE)\n"
        "        return vmcsc_v_common(a, b);\n"
        "    return there == VMCSC_TRUE ? a : b;\n"
    )


def _settings(word: ControlWord, msr: str, what: str) -> str:
    value = f"vmcsc_msr_{msr}({_CALL})"
    if word.allowed_0:
        return f"vmcsc_v_slice({value}, {32 if what == 'may' else 0}u, 32u)"
    return value if what == "may" else f"vmcsc_v(0u, vmcsc_mask({word.width}u))"


def _answer(leaf: nodes.Leaf) -> str:
    match leaf:
        case nodes.AllowedBits():
            return f"vmcsc_{'must' if leaf.must_be_1 else 'may'}_{leaf.word.name}({_CALL})"
        case nodes.Supported() | nodes.Forced():
            what = "may" if isinstance(leaf, nodes.Supported) else "must"
            return f"vmcsc_v_bit(vmcsc_{what}_{leaf.control.word}({_CALL}), {leaf.control.bit}u)"
        case nodes.MsrBits():
            value = f"vmcsc_msr_{leaf.msr.name}({_CALL})"
            return (
                f"vmcsc_v_bit({value}, {leaf.low}u)"
                if leaf.width == 1
                else f"vmcsc_v_slice({value}, {leaf.low}u, {leaf.width}u)"
            )
        case nodes.CpuFact():
            name = leaf.fact.name
            value = f"vmcsc_v_slice(vmcsc_v(cpu->{name}, known->{name}), 0u, {leaf.width}u)"
            return f"vmcsc_v_bit({value}, 0u)" if leaf.width == 1 else value
        case _:
            raise TypeError(f"a processor does not answer {type(leaf).__name__}")
