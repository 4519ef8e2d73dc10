"""Back end `bytecode`: the scenarios of a policy with everything that they need, one file for each processor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from vmcsc.backend import Artifact
from vmcsc.capabilities.cpu import UNKNOWN_CPU
from vmcsc.errors import VmcscError
from vmcsc.vmcs import Vmcs


@dataclass(frozen=True, slots=True)
class Options:
    """There are none."""


class Bytecode:
    """Files for `vmcsc run` and `vmcsc disassemble` (docs/bytecode.md)."""

    name: ClassVar[str] = "bytecode"
    summary: ClassVar[str] = "what the bundled machine runs: capabilities, memory, VMX instructions, scenarios"
    options: ClassVar[type[Options]] = Options

    def emit(self, vmcses: Sequence[Vmcs], options: Options) -> list[Artifact]:  # noqa: ARG002 (the protocol)
        from vmcsc.bytecode.binary import to_bytes
        from vmcsc.bytecode.compile import program_of

        if any(vmcs.cpu is UNKNOWN_CPU for vmcs in vmcses):
            raise VmcscError("bytecode is for one processor model: name it with --cpu, or in the policy")
        found = []
        for vmcs in vmcses:
            name = vmcs.policy.name if len(vmcses) == 1 else f"{vmcs.policy.name}.{vmcs.cpu.name}"
            program = program_of(vmcs.policy, vmcs.database, vmcs.cpu)
            found.append(Artifact(f"{name}.vmxb", to_bytes(program)))
        return found
