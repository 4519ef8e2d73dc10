"""What would become of KVM with a patch: modules that do not load, and guests that die."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.architecture.model import ExitReason
from vmcsc.architecture.operation import operation_of
from vmcsc.capabilities.cpu import UNKNOWN_CPU, Capabilities
from vmcsc.diagnostic import Diagnostics
from vmcsc.kvm.tree import Tree
from vmcsc.vmcs import Vmcs

from .plan import Plan
from .wanted import ABSENT, Wish


def report_consequences(
    plan: Plan, tree: Tree, vmcses: Sequence[Vmcs], wished: Mapping[str, Wish], diagnostics: Diagnostics
) -> None:
    """Findings about a patched kernel, on the processors that were named."""
    _report_exits(plan, tree, vmcses[0].database, wished, diagnostics)
    _report_unnamed(plan, wished, diagnostics)
    for vmcs in vmcses:
        if vmcs.cpu is not UNKNOWN_CPU:
            _report_missing(plan, tree, vmcs, wished, diagnostics)
            _report_lone_halves(plan, tree, vmcs, wished, diagnostics)


def _report_exits(
    plan: Plan, tree: Tree, database: Database, wished: Mapping[str, Wish], diagnostics: Diagnostics
) -> None:
    """Controls that come to be set and make a guest exit for a reason for which KVM has no handler."""
    for path in dict.fromkeys(change.control.path for change in plan.changes):
        wish = wished[path]
        if wish.standing is ABSENT or not wish.on:
            continue
        if not tree.behaviour.handled:  # the table is not where it is known to be
            continue
        missing = [one for one in reasons(path, database) if one.number not in tree.behaviour.handled]
        if missing:
            names = ", ".join(f"{one.linux or one.name} ({one.number})" for one in missing)
            diagnostics.report(
                codes.NO_EXIT_HANDLER,
                f"`{path.partition('.')[2]}` would kill guests: KVM of this tree has no handler for {names}",
                wish.span,
                notes=["an exit without a handler ends the guest with an internal error (unexpected exit)"],
                help=f"write the handler too: {tree.kvm.handlers} in {tree.config.path}",
            )


def reasons(path: str, database: Database) -> Iterator[ExitReason]:
    """The exit reasons of instructions whose conditions for an exit mention the control."""
    mentioned = re.compile(rf"(?<!not ){re.escape(path)}\b")
    found = {}
    for entry in operation_of(database).instructions.values():
        for step in entry.steps:
            if step.action == "exit" and step.when is not None and mentioned.search(step.when):
                found[step.target] = database.exit_reasons[step.target]
    return iter(found.values())


def _report_unnamed(plan: Plan, wished: Mapping[str, Wish], diagnostics: Diagnostics) -> None:
    unnamed = [
        change for change in plan.changes if change.want is ABSENT and wished[change.control.path].stance is None
    ]
    if unnamed:
        names = ", ".join(change.control.name for change in unnamed)
        diagnostics.report(
            codes.KVM_NEEDS_IT,
            f"the patch takes away what KVM uses and the policy does not name: {names}",
            help="a policy says all of KVM's configuration; begin with one from `vmcsc import kvm`",
        )


def _report_missing(plan: Plan, tree: Tree, vmcs: Vmcs, wished: Mapping[str, Wish], diagnostics: Diagnostics) -> None:
    capabilities, database = Capabilities(vmcs.database, vmcs.cpu), vmcs.database
    for name, word in plan.words.items():
        allowed = capabilities.allowed_without_true(database.words[name])
        lacking = word.required & allowed.may_be_1.known & ~allowed.may_be_1.bits
        for control in database.words[name].controls:
            if lacking & control.mask and tree.kvm.words[name].enforced:
                wish = wished.get(control.path)
                high = 32 if database.words[name].allowed_0 else 0
                diagnostics.report(
                    codes.WOULD_NOT_LOAD,
                    f"kvm_intel would not load on {vmcs.cpu.title}: `{control.name}` is required, and not there",
                    None if wish is None else wish.span,
                    notes=[f"{vmcs.cpu.title}: {allowed.msr.sdm} bit {control.bit + high} is 0; insmod says -EIO"],
                    help=f"say `prefer {control.name}`",
                )


def _report_lone_halves(
    plan: Plan, tree: Tree, vmcs: Vmcs, wished: Mapping[str, Wish], diagnostics: Diagnostics
) -> None:
    """A processor may have one control of a pair alone."""
    if not tree.strict:
        return
    capabilities, database = Capabilities(vmcs.database, vmcs.cpu), vmcs.database
    for masks in tree.behaviour.pairs:
        granted = []
        for name, mask in zip(tree.kvm.halves, masks, strict=True):
            word, allowed = plan.words[name], capabilities.allowed_without_true(database.words[name])
            known = allowed.may_be_1.known & mask
            granted.append(bool((word.required | word.optional) & allowed.may_be_1.bits & mask) if known else None)
        if None not in granted and granted[0] != granted[1]:
            halves = zip(tree.kvm.halves, masks, strict=True)
            controls = [database.words[name].by_bit[mask.bit_length() - 1] for name, mask in halves]
            wish = wished.get(controls[0].path)
            diagnostics.report(
                codes.WOULD_NOT_LOAD,
                f"kvm_intel would not load on {vmcs.cpu.title}, which has one of `{controls[0].path}` and "
                f"`{controls[1].path}` alone",
                None if wish is None else wish.span,
                notes=[f"{tree.kvm.minds}=0 makes KVM use neither"],
            )
