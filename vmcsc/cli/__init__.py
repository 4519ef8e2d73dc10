"""The command line: finds the command, imports it, and turns whatever happens into an exit code.

0: nothing wrong (notes and warnings are fine). 1: errors were found. 2: wrong use, or unreadable input.
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress

TYPE_CHECKING = False  # as in the package: `typing` is not imported before a command needs it
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Protocol

    class _Command(Protocol):
        def run(self, argv: Sequence[str]) -> int: ...


COMMANDS = {
    "check": "compile policies and say what is wrong with them",
    "fmt": "bring policies into the canonical layout",
    "emit": "compile a policy and write what a back end makes of it",
    "test": "run the scenarios of policies on the bundled machine",
    "run": "run scenarios and draw how guest and hypervisor take turns",
    "import": "write down as a policy what KVM in a kernel tree asks of the processor",
    "disassemble": "print bytecode as a listing",
    "assemble": "make bytecode from a listing",
    "specs": "validate the specs, and folders of specs of your own",
    "diff": "show what differs between policies, or for one policy between CPUs",
    "cpu": "list, draw and compare CPUs, and write down what they have in common",
    "rules": "list the rules of VM entry",
    "explain": "say what a name, a number or a diagnostic code means",
    "diagnose": "say which rules of VM entry a log of a failed entry shows violated",
    "decode": "take a value of a field, a control word or an MSR apart, or a whole dump",
    "backends": "list what a policy can be turned into",
    "completion": "print a script that completes command lines in a shell",
}
"""Each command is the module of its name here, or of `MODULES`, imported only when it is chosen. It has `run(argv)`
and, for completion, `parser()`; `variants()` too where its options depend on its first operand."""

MODULES = {"import": "import_policy"}
"""Modules that cannot have the name of their command, which is a word of Python."""

_OPTIONS = ("-h", "--help", "--version")

WRONG_USE = 2
INTERRUPTED = 130
PIPE_CLOSED = 141

GARBAGE = 50_000
"""So many new objects, and Python looks for cycles among them: a command makes few, and looking takes its time."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: that of the process) and return the exit code. Never raises."""
    gc.set_threshold(GARBAGE)
    try:
        code = _dispatch(list(sys.argv[1:] if argv is None else argv))
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return PIPE_CLOSED
    except Exception as error:
        return _last_resort(error)


def _dispatch(argv: list[str]) -> int:
    first, rest = (argv[0], argv[1:]) if argv else ("", [])
    if first == "--version":
        from vmcsc.cli.version import version_line

        print(version_line())
        return 0
    if first in ("-h", "--help"):
        print(_help(), end="")
        return 0
    if first not in COMMANDS:
        return _no_command(first)
    if first == "check":
        from vmcsc.cli.seen import replay

        code = replay(rest)
        if code is not None:
            return code
    try:
        return _command(first).run(rest)
    except SystemExit as exit:  # argparse after --help or an error
        return exit.code if isinstance(exit.code, int) else 0 if exit.code is None else WRONG_USE


def _command(name: str) -> _Command:
    from importlib import import_module

    command: Any = import_module(f"vmcsc.cli.{MODULES.get(name, name)}")
    return command  # type: ignore[no-any-return]


def _help() -> str:
    commands = "".join(f"  {name:12}{summary}\n" for name, summary in COMMANDS.items())
    return (
        "usage: vmcsc COMMAND ...\n\n"
        "Compiles a declarative policy into a VMCS configuration for Intel VMX.\n\n"
        f"commands:\n{commands}\n"
        "options:\n"
        "  -h, --help  show this help; `vmcsc COMMAND --help` shows that of a command\n"
        "  --version   show the version of the program and of its data\n\n"
        "environment:\n"
        "  NO_COLOR, FORCE_COLOR  never or always use colours; --color wins\n"
        "  VMCSC_FORMAT           how findings are printed; --format wins\n"
        "  VMCSC_CONFIG           the settings, instead of the nearest vmcsc.toml\n"
        "  VMCSC_CACHE            0: keep nothing in $XDG_CACHE_HOME/vmcsc or ~/.cache/vmcsc\n"
        "  VMCSC_TRACEBACK        1: show where an internal error happened\n\n"
        "example:\n  vmcsc check kvm-classic --cpu ice_lake_i7_1065g7\n"
    )


def _no_command(given: str) -> int:
    from difflib import get_close_matches

    from vmcsc.report.cells import visible

    if not given:
        _complain(_help().rstrip("\n"))
        return WRONG_USE
    what, known = ("option", _OPTIONS) if given.startswith("-") else ("command", tuple(COMMANDS))
    near = get_close_matches(given, known, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(known)}"
    _complain(f"vmcsc: error: there is no {what} `{visible(given)}`; {hint}")
    return WRONG_USE


def _last_resort(error: Exception) -> int:
    """Say what happened without a traceback: misuse of the library as it says, anything else as our fault."""
    from vmcsc.report.cells import visible

    if os.environ.get("VMCSC_TRACEBACK") == "1":
        import traceback

        traceback.print_exception(error)
    if isinstance(error, OSError):
        where = "" if error.filename is None else f"{error.filename}: "
        _complain(f"vmcsc: error: {visible(f'{where}{error.strerror or error}')}")
        _drop_output()
    elif _is_misuse(error):
        from vmcsc.cli.findings import print_failure

        return print_failure(error)
    else:
        _complain(
            f"vmcsc: internal error: {visible(f'{type(error).__name__}: {error}'[:500])}\n"
            "vmcsc: this is a bug in vmcsc; please report it with the command and its input"
            " (VMCSC_TRACEBACK=1 shows where it happened)"
        )
    return WRONG_USE


def _is_misuse(error: Exception) -> bool:
    from vmcsc.errors import VmcscError

    return isinstance(error, VmcscError)


def _complain(text: str) -> None:
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def _drop_output() -> None:
    """Point standard output at nothing, so that the interpreter does not fail on it again when it ends."""
    with suppress(OSError, ValueError, AttributeError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)
