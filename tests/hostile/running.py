"""Running a command line that may hang, or take more memory than any input is worth."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

PATIENCE = 20
"""Seconds after which a command counts as hanging. It takes a fraction of one."""

MEGABYTES = 200
POLICY = "policy p {\n  primary { require hlt_exiting }\n}\n"
PROGRAM = """
import os, re, sys
from pathlib import Path
from vmcsc.cli import main
code = main()
Path(os.environ["PEAK"]).write_text(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
sys.exit(code)
"""
"""`vmcsc`, and how many KB it took at the most: what the system says of a child counts the parent's memory too."""

VMCSC = (sys.executable, "-c", PROGRAM)


class Run(NamedTuple):
    code: int
    text: str


def run(*argv: str | Path, cwd: Path, stdin: str | Path = os.devnull, **environment: str) -> Run:
    """Run a command line; a test fails that hangs or takes more memory than any input is worth."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("VMCSC_")}
    inherited["PEAK"] = str(cwd / "peak")
    with Path(stdin).open("rb") as given, (cwd / "printed").open("w+b") as printed:
        process = subprocess.Popen(
            [*VMCSC, *argv], cwd=cwd, stdin=given, stdout=printed, stderr=printed, env={**inherited, **environment}
        )
        watch = threading.Timer(PATIENCE, process.kill)
        watch.start()
        code = process.wait()
        watch.cancel()
        printed.seek(0)
        text = printed.read().decode("utf-8", "replace")
    assert code >= 0, f"it hung, or was killed by signal {-code}: {text}"
    assert "Traceback" not in text and "internal error" not in text, text
    assert int((cwd / "peak").read_text()) / 1024 < MEGABYTES
    return Run(code, text)


Here = Callable[..., Run]
"""Runs a command line in this process, for what cannot hang."""
