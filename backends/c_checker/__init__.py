"""Back end `c-checker`: the rules of VM entry as a C header, to be called right before VMLAUNCH or VMRESUME."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from vmcsc import __version__
from vmcsc.architecture.database import Database
from vmcsc.backend import Artifact
from vmcsc.capabilities.cpu import UNKNOWN_CPU
from vmcsc.check.evaluate import Status, evaluate_rule, rules_of
from vmcsc.check.state import State
from vmcsc.errors import VmcscError
from vmcsc.expression.rules import BoundRule
from vmcsc.vmcs import Vmcs

from ..c_header.text import comment, comment_text
from .cpu import answers, cpu_struct
from .fill import fill_part
from .program import QUIET, program
from .rules import numbers, rule_functions, structs
from .shared import activation, in_force_struct
from .tables import rule_tables
from .verdict import causes, verdict_part


@dataclass(frozen=True, slots=True)
class Options:
    """Which rules, and how they are written."""

    reachable: bool = field(
        default=False, metadata={"help": "leave out rules that never apply with the controls of the policy"}
    )
    stages: str = field(
        default="", metadata={"help": "only rules of these stages of VM entry, with commas between", "metavar": "NAMES"}
    )
    strings: bool = field(default=True, metadata={"help": "names of rules, for messages"})
    stdint: bool = field(
        default=True, metadata={"help": "include <stdint.h>; without it you declare uint8_t to uint64_t"}
    )
    main: bool = field(
        default=False, metadata={"help": "a whole program instead, which reads states and prints what becomes of them"}
    )


class CChecker:
    """The same header serves every processor and every VMCS: what is not known of them is unknown, not 0.

    C99 and later, C++17; no dependency but <stdint.h>, no allocation, no recursion.
    """

    name: ClassVar[str] = "c-checker"
    summary: ClassVar[str] = "a C header: every check of VM entry, to link into a hypervisor"
    options: ClassVar[type[Options]] = Options
    policy: ClassVar[str] = "minimal"

    def emit(self, vmcses: Sequence[Vmcs], options: Options) -> list[Artifact]:
        if options.main and not options.strings:
            raise VmcscError("the program prints the names of rules, so it cannot be written without them")
        database = vmcses[0].database
        rules = _of_stages(rules_of(database), options.stages, database)
        kept = [bound for bound in rules if not options.reachable or _applies(bound, vmcses)]
        leaves = [leaf for bound in kept for leaf in bound.leaves()]
        asked, members = answers(database, leaves)
        parts = [
            _opening(vmcses, len(rules), len(kept), options),
            "#ifndef VMCSC_CHECKER_H\n#define VMCSC_CHECKER_H\n",
            QUIET if options.main else "",
            "#include <stdint.h>\n" if options.stdint or options.main else "",
            _verbatim("values.h"),
            structs(database),
            cpu_struct(database),
            asked,
            numbers(kept),
            causes(kept, database),
            rule_tables(kept, database, strings=options.strings),
            in_force_struct(database),
            _verbatim("runtime.h"),
            activation(database),
            fill_part(database),
            rule_functions(kept, database, members),
            verdict_part(database),
            "#endif /* VMCSC_CHECKER_H */\n",
            program(kept, database, members) if options.main else "",
        ]
        name = "vmcsc_check.c" if options.main else "vmcsc_checker.h"
        return [Artifact(name, "\n".join(part for part in parts if part))]


def _of_stages(rules: Sequence[BoundRule], named: str, database: Database) -> list[BoundRule]:
    """The rules whose violation causes an outcome of one of the stages; all of them where none is named."""
    wanted = [name.strip() for name in named.split(",") if name.strip()]
    known = {stage.name: set(stage.outcomes) for stage in database.stages}
    for name in wanted:
        if name not in known:
            raise VmcscError(f"there is no stage {name[:60]!r}; there are {', '.join(known)}")
    pairs = {pair for name in wanted for pair in known[name]}
    return [bound for bound in rules if not wanted or pairs & set(bound.rule.outcome.items())]


def _applies(bound: BoundRule, vmcses: Sequence[Vmcs]) -> bool:
    """Whether the rule may apply with the controls that the policy comes to on some processor."""
    for vmcs in vmcses:
        fields = {resolved.word.field: resolved.value for resolved in vmcs.words.values()}
        state = State(vmcs.database, fields, UNKNOWN_CPU)
        if evaluate_rule(bound, state).status is not Status.NOT_APPLICABLE:
            return True
    return False


def _opening(vmcses: Sequence[Vmcs], of: int, kept: int, options: Options) -> str:
    policy, database = vmcses[0].policy, vmcses[0].database
    lines = [
        f"The checks of VM entry as C, written by vmcsc {__version__} from specs {comment_text(database.version)}.",
        "",
        f"{kept} of {len(rules_of(database))} rules"
        + (f" (of the stages {comment_text(options.stages)}: {of})" if options.stages else "")
        + (f"; {of - kept} never apply with the controls of {comment_text(policy.name)}" if options.reachable else "")
        + ".",
        "",
        _PROGRAM if options.main else _HEADER,
    ]
    return comment(lines)


_HEADER = (
    "Fill in a struct vmcsc_state with what is known of the VMCS and the processor's state, ask the processor once "
    "with vmcsc_ask, and call vmcsc_check_state. What is not known (a mask of 0) is not taken for 0."
)
_PROGRAM = (
    "A program: cc -O2 vmcsc_check.c -o vmcsc_check && ./vmcsc_check FILE prints what vmcsc check --state FILE "
    "--format concise does."
)


def _verbatim(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
