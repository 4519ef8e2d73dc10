"""What stands for a number in a scenario: regions of memory, encodings of fields, parameters of the policy."""

from __future__ import annotations

from collections.abc import Mapping

from vmcsc.architecture.database import Database
from vmcsc.diagnostic import Diagnostics
from vmcsc.expression import nodes, value
from vmcsc.expression.bind import bind
from vmcsc.expression.evaluate import evaluate
from vmcsc.expression.scope import Scope
from vmcsc.syntax import tree

VMXON_REGIONS = 0x5000_0000
VMCS_REGIONS = 0x5010_0000
SCRATCH = 0x5020_0000
"""Where the machine's host has its regions, one page each, and a page for operands in memory."""

MAX_PROCESSORS = 8
MAX_VMCSS = 8


def names_of(database: Database, parameters: Mapping[str, int], processor: int) -> dict[str, int]:
    """The numbers that names stand for in a block for `processor`."""
    found = {field.name: field.encoding for field in database.fields.values()}
    found |= parameters
    return found | {name: node.value for name, node in regions_of(processor).items()}


def regions_of(processor: int) -> dict[str, nodes.Constant]:
    """The addresses of the VMXON region of a processor and of the VMCS regions."""
    found = {f"vmcs_{number}": VMCS_REGIONS + 0x1000 * number for number in range(MAX_VMCSS)}
    found |= {"vmxon_region": VMXON_REGIONS + 0x1000 * processor, "vmcs": VMCS_REGIONS}
    return {name: nodes.Constant(64, address) for name, address in found.items()}


def number_of(
    expression: tree.Expression, names: Mapping[str, int], database: Database, diagnostics: Diagnostics
) -> int | None:
    """The value of a constant expression, 64 bits, or None after reporting why it has none."""
    bound = {name: nodes.Constant(64, number & (1 << 64) - 1) for name, number in names.items()}
    node = bind(expression, 64, Scope(database, bound=bound), diagnostics)
    return None if node is None else evaluate(node, _unreadable).bits


def _unreadable(leaf: nodes.Leaf) -> value.Value:
    return value.unknown(leaf.width)
