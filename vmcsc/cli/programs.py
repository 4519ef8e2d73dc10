"""Bytecode files as the commands read them."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING

from vmcsc import codes
from vmcsc.diagnostic import Diagnostics
from vmcsc.errors import VmcscError

if TYPE_CHECKING:
    from vmcsc.bytecode.program import Program

SUFFIX = ".vmxb"
"""The ending of the names of bytecode files."""


def read_program(path: str, diagnostics: Diagnostics) -> Program | None:
    """The program in a file, or None after reporting why there is none. `-` is standard input."""
    from vmcsc.bytecode.binary import MAX_BYTES, from_bytes

    try:
        if path == "-":
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb") as stream:  # noqa: PTH123 (a descriptor has no path)
                if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                    raise OSError(0, "it is no regular file")
                data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        diagnostics.report(codes.UNREADABLE, f"{path} cannot be read: {reason}")
        return None
    try:
        return from_bytes(data)
    except VmcscError as error:
        diagnostics.report(codes.BYTECODE, f"{path}: {error}")
        return None
