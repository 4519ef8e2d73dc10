"""What may come of an instruction besides its effect, as exceptions that the processor's loop catches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vmcsc.architecture.operation import Step


class Outcome(Exception):
    """The instruction did not complete."""


class Fault(Outcome):
    """An exception of the architecture, by its name in specs/exceptions.yaml.

    `error_code` is None where it has none; `address` is the linear address of a page fault; `qualification` the debug
    conditions of a debug exception; `type` that of the interruption information.
    """

    def __init__(
        self, name: str, error_code: int | None = None, *, address: int | None = None, qualification: int = 0,
        type: int = 3,
    ) -> None:  # fmt: skip
        super().__init__(name)
        self.name = name
        self.error_code = error_code
        self.address = address
        self.qualification = qualification
        self.type = type


class VmExit(Outcome):
    """A VM exit, by the name of its reason.

    `fields` are further exit-information fields by name. `length` is that of the instruction where the exit reports
    one; `information` the VM-exit instruction information. `trap`: the instruction is done. `failed_entry`: a VM entry
    that failed, so no guest state is saved. `step` is what decided it, for those who ask why, with the widths of the
    values that its condition may use and these `values`.
    """

    def __init__(
        self,
        reason: str,
        qualification: int = 0,
        fields: Mapping[str, int] | None = None,
        *,
        information: int = 0,
        length: int | None = None,
        trap: bool = False,
        failed_entry: bool = False,
        step: Step | None = None,
        widths: Mapping[str, int] | None = None,
        values: Sequence[int] = (),
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.qualification = qualification
        self.fields = dict(fields or {})
        self.information = information
        self.length = length
        self.trap = trap
        self.failed_entry = failed_entry
        self.step = step
        self.widths = widths or {}
        self.values = tuple(values)


class VmFail(Outcome):
    """VMfailInvalid (`error` is None) or VMfailValid with a VM-instruction error, by its name."""

    def __init__(self, error: str | None = None) -> None:
        super().__init__(error or "invalid")
        self.error = error


class Stopped(Exception):
    """The processor does nothing more: it is in a state that no event can end, or the program went wrong."""
