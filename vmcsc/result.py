"""What a compilation found."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from vmcsc.check.check import Checked
from vmcsc.check.resolved import check_vmcs
from vmcsc.diagnostic import Diagnostic
from vmcsc.policy.model import Policy
from vmcsc.records import dataclass, field
from vmcsc.vmcs import Vmcs


@dataclass(frozen=True)
class Result:
    """What a compilation found. `by_cpu` has one VMCS for each processor, by its name (`unknown`: none was named).

    `suppressed` counts the findings beyond the limit, which are not in `diagnostics`. `checked` is what the rules of VM
    entry say of each VMCS, the state of the processor being unknown; violations are among the diagnostics.
    `undetermined` counts for each processor the rules that cannot be decided, if the policy gives more than controls.
    """

    policy: Policy | None
    by_cpu: Mapping[str, Vmcs]
    diagnostics: tuple[Diagnostic, ...]
    suppressed: int = 0
    undetermined: Mapping[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether there is a VMCS and no error."""
        return bool(self.by_cpu) and all(d.severity.value != "error" for d in self.diagnostics)

    @cached_property
    def checked(self) -> Mapping[str, Checked]:
        return {name: check_vmcs(vmcs) for name, vmcs in self.by_cpu.items()}

    @property
    def vmcs(self) -> Vmcs | None:
        """The VMCS for the first processor."""
        return next(iter(self.by_cpu.values()), None)
