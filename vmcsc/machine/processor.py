"""One logical processor: its registers, its place in VMX operation, and the events that wait for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vmcsc.architecture.operation import Operation
from vmcsc.machine.event import Event
from vmcsc.machine.vmcs_data import VmcsData

NO_VMCS = 0xFFFFFFFF_FFFFFFFF
"""The current-VMCS pointer where there is no current VMCS."""


class Processor:
    """A logical processor. Each register of specs/machine/registers.yaml is an attribute that holds a number.

    `vmcs` is the current VMCS (None: there is none); `active` are the VMCSs that VMPTRLD made active here, by address.
    `msrs` holds the MSRs that are no registers, by index. `interrupts` are the vectors that wait behind the one in
    `interrupt_vector`. `taken` are the vectors of the interrupts that were delivered in VMX root operation, in their
    order: the machine has no host code to run for them. `waiting`: something may come before the next instruction.
    """

    def __init__(self, number: int, operation: Operation) -> None:
        self.number = number
        self.vmx_operation = False
        self.vmx_root = True
        self.smm = False
        self.instruction = 0
        self.executive_vmcs_launched = False
        self.executive_vmcs_controls_valid = True
        self.wrmsr_accepts_others = True
        self.vmxon_pointer = NO_VMCS
        self.vmcs: VmcsData | None = None
        self.active: dict[int, VmcsData] = {}
        self.msrs: dict[int, int] = {}
        self.interrupts: list[int] = []
        self.nmi_blocked = False
        self.waiting = 1
        self.delivering: Event | None = None
        self.taken: list[int] = []
        for name in operation.guest:
            setattr(self, name, 0)
        for register in operation.registers.values():
            setattr(self, register.name, register.reset)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> int: ...
        def __setattr__(self, name: str, value: int) -> None: ...

    @property
    def non_root(self) -> bool:
        return self.vmx_operation and not self.vmx_root

    @property
    def current_vmcs(self) -> int:
        return NO_VMCS if self.vmcs is None else self.vmcs.address

    @property
    def current_vmcs_is_shadow(self) -> bool:
        return self.vmcs is not None and self.vmcs.shadow

    @property
    def launch_state(self) -> bool:
        return self.vmcs is not None and self.vmcs.launched

    @property
    def vmxoff_since_launch(self) -> bool:
        return self.vmcs is not None and self.vmcs.vmxoff_since_launch

    def registers(self, operation: Operation) -> Mapping[str, int]:
        """All registers by name."""
        return {name: getattr(self, name) for name in operation.registers}
