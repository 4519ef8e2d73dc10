"""Back end `kvm-patch`: a patch that makes KVM's configuration in a kernel tree the policy's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from vmcsc import codes
from vmcsc.architecture.kvm import kvm_of
from vmcsc.backend import Artifact
from vmcsc.diagnostic import Diagnostic, Diagnostics, Severity
from vmcsc.kvm.tree import read_tree
from vmcsc.records import replace
from vmcsc.vmcs import Vmcs

from .consequences import report_consequences
from .diff import patch
from .plan import plan
from .snippet import snippet
from .wanted import wishes


@dataclass(frozen=True, slots=True)
class Options:
    """For which tree, and whether in part."""

    kernel: str = field(
        default="",
        metadata={"help": "the folder with the sources of Linux; without it a snippet of C is made", "metavar": "DIR"},
    )
    partial: bool = field(
        default=False, metadata={"help": "leave out what cannot be brought about, instead of making no patch"}
    )


class KvmPatch:
    """Nothing is ever written into the tree (docs/kvm.md)."""

    name: ClassVar[str] = "kvm-patch"
    summary: ClassVar[str] = "a patch for KVM in a kernel tree; without --kernel a snippet of C"
    options: ClassVar[type[Options]] = Options

    def __init__(self) -> None:
        self._found: tuple[list[Vmcs], Options, str] | None = None

    def findings(self, vmcses: Sequence[Vmcs], options: Options) -> list[Diagnostic]:
        """What the patch does not bring about, and what would become of KVM with it."""
        diagnostics = Diagnostics()
        text = _made(vmcses, options, diagnostics)
        self._found = list(vmcses), options, text
        found = list(diagnostics)
        if not text and not diagnostics.failed:
            found.append(_nothing(options))
        return [_in_part(one) for one in found] if options.partial else found

    def emit(self, vmcses: Sequence[Vmcs], options: Options) -> list[Artifact]:
        """What was made for the findings of the same question is not made again."""
        kept, self._found = self._found, None
        same = kept is not None and kept[1] == options and len(kept[0]) == len(vmcses)
        if kept is not None and same and all(one is other for one, other in zip(kept[0], vmcses, strict=True)):
            text = kept[2]
        else:
            text = _made(vmcses, options, Diagnostics())
        suffix = "patch" if options.kernel else "c"
        return [Artifact(f"{vmcses[0].policy.name}.{suffix}", text)] if text else []


def _nothing(options: Options) -> Diagnostic:
    said = Diagnostics()
    already = f"KVM in {options.kernel} is configured as the policy wants it"
    message = f"{already if options.kernel else 'nothing is forbidden or required'}: there is nothing to patch"
    said.report(codes.NOTHING_TO_PATCH, message)
    return said.found[0]


def _made(vmcses: Sequence[Vmcs], options: Options, diagnostics: Diagnostics) -> str:
    database, policy = vmcses[0].database, vmcses[0].policy
    if not options.kernel:
        wished = wishes(vmcses, kvm_of(database), diagnostics)
        return snippet(wished, database, policy.name, diagnostics)
    tree = read_tree(Path(options.kernel), database, diagnostics)
    if tree is None:
        return ""
    if not tree.patchable or tree.blocks.mask is None:
        what = "states fixed bits, no lists" if not tree.patchable else f"does not have the line `{tree.kvm.store}`"
        message = f"KVM in {options.kernel} cannot be patched: {tree.config.path} {what}"
        diagnostics.report(codes.KERNEL_TREE, message)
        return ""
    wished = wishes(vmcses, tree.kvm, diagnostics)
    planned = plan(wished, tree, database, diagnostics)
    report_consequences(planned, tree, vmcses, wished, diagnostics)
    return patch(planned, tree, database, policy.name)


def _in_part(finding: Diagnostic) -> Diagnostic:
    """With --partial what is left out does not keep the rest from being made."""
    left_out = finding.code == codes.NOT_BROUGHT_ABOUT.id
    return replace(finding, severity=Severity.WARNING) if left_out else finding
