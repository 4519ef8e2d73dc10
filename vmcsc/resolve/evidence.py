"""What of a processor's capabilities stands behind a finding, in the manual's terms: the MSR and its bit."""

from __future__ import annotations

from vmcsc.architecture.model import Control
from vmcsc.capabilities.cpu import Capabilities
from vmcsc.expression import nodes
from vmcsc.expression.emit_text import emit_text


def bit_of(control: Control, capabilities: Capabilities, *, positive: bool) -> str:
    """Why a control cannot be 1 (`positive`), or why it cannot be 0."""
    word = capabilities.database.words[control.word]
    allowed = capabilities.allowed(word)
    if allowed.exists is False:
        activator = next(iter(capabilities.database.activators(word)), None)
        if activator is not None:
            return f"{allowed.msr.sdm} does not exist, since {bit_of(activator, capabilities, positive=True)}"
        return f"{allowed.msr.sdm} does not exist"
    if not word.allowed_0:
        return f"{allowed.msr.sdm} bit {control.bit} is 0"
    half = "[63:32]" if positive else "[31:0]"
    return f"{allowed.msr.sdm}{half} bit {control.bit} is {0 if positive else 1}"


def reason_of(condition: nodes.Node, capabilities: Capabilities) -> str:
    """Why a condition over capabilities does not hold."""
    match condition:
        case nodes.Supported(control=control):
            return bit_of(control, capabilities, positive=True)
        case nodes.Invert(operand=nodes.Forced(control=control)):
            return bit_of(control, capabilities, positive=False)
        case nodes.MsrBits(msr=msr, low=low, width=1):
            missing = " does not exist" if capabilities.exists(msr) is False else f" bit {low} is 0"
            return f"{msr.sdm}{missing}"
        case _:
            return f"`{emit_text(condition)}` is not so"
