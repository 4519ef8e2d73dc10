"""vmcsc: a declarative compiler for Intel VMX configurations.

`load` the specs, `compile` a policy for some processors, `emit` the result, `check` a VMCS, `diagnose` a log of a
failed entry, `run_scenarios` of a policy. A user's mistake is data in the `Result`, never an exception; `VmcscError` is
for wrong use.
"""

# The house: data flows one way, and a module imports only from rooms above its own (tests/test_layers.py):
#   records, cache, source, diagnostic, codes, resources, yamlnodes, errors
#   -> architecture -> syntax -> expression -> capabilities
#   -> policy -> vmcs, resolve -> check -> assembly -> machine -> scenario -> bochs -> bytecode -> kvm -> diagnose
#   -> result, loading, inputs -> pipeline -> backend, report -> cli.
# Facts about VMX live in specs/, algorithms here. Nothing but cli/ prints, exits or reads the environment.

from __future__ import annotations

TYPE_CHECKING = False  # type checkers take it as true; `typing` has it too, and takes a fifth of Python's own start

__version__ = "0.1.0"

__all__ = [
    "Artifact",
    "Backend",
    "Checked",
    "Cpu",
    "Database",
    "Diagnosis",
    "Diagnostic",
    "Memory",
    "Result",
    "ScenarioResult",
    "Severity",
    "Span",
    "Vmcs",
    "VmcscError",
    "backends",
    "check",
    "check_many",
    "compile",
    "diagnose",
    "emit",
    "load",
    "run_scenarios",
]

if TYPE_CHECKING:
    from typing import Any

    from vmcsc.architecture.database import Database
    from vmcsc.backend import Artifact, Backend, backends, emit
    from vmcsc.capabilities.cpu import Cpu
    from vmcsc.check.api import check, check_many
    from vmcsc.check.check import Checked
    from vmcsc.check.memory import Memory
    from vmcsc.diagnose.api import diagnose
    from vmcsc.diagnose.diagnosis import Diagnosis
    from vmcsc.diagnostic import Diagnostic, Severity
    from vmcsc.errors import VmcscError
    from vmcsc.loading import load
    from vmcsc.pipeline import compile
    from vmcsc.result import Result
    from vmcsc.scenario.result import ScenarioResult
    from vmcsc.scenario.test import run_scenarios
    from vmcsc.source import Span
    from vmcsc.vmcs import Vmcs

_HOMES = {
    "Artifact": "backend",
    "Backend": "backend",
    "backends": "backend",
    "emit": "backend",
    "Checked": "check.check",
    "Memory": "check.memory",
    "check": "check.api",
    "check_many": "check.api",
    "diagnose": "diagnose.api",
    "Diagnosis": "diagnose.diagnosis",
    "Cpu": "capabilities.cpu",
    "Database": "architecture.database",
    "Diagnostic": "diagnostic",
    "Severity": "diagnostic",
    "VmcscError": "errors",
    "Result": "result",
    "compile": "pipeline",
    "load": "loading",
    "run_scenarios": "scenario.test",
    "ScenarioResult": "scenario.result",
    "Span": "source",
    "Vmcs": "vmcs",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: start-up time is a feature."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"vmcsc.{_HOMES[name]}"), name)
