"""How long commands take from their start to their end, as multiples of `python -c pass`."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from logs import whole_dump
from measure import Row, elapsed

SPECS = Path(__file__).parent.parent / "specs"
POLICY = SPECS / "policies" / "kvm-classic.vmcs"
SCHEMA = '{"type": "object", "additionalProperties": {"type": "string"}}'
PLAIN, VERSION, SEEN, CHANGED, HEADER = "plain", "version", "seen", "changed", "header"
DIAGNOSED, YAML = "diagnosed", "yaml"


@dataclass(frozen=True)
class Command:
    """A command, what is done before each run of it, and the exit code that it must have."""

    arguments: Sequence[str]
    before: Callable[[], object] = lambda: None
    code: int = 0


def rows(folder: Path, rounds: int) -> list[Row]:
    """Run each command once in each round, each time in another order, and compare the medians."""
    commands = _commands(folder)
    environment = _environment(folder)
    for command in commands.values():  # fills the caches, and the disk's
        for _ in range(2):
            _run(command, environment, folder)
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name in random.sample(sorted(commands), len(commands)):
            taken[name].append(_run(commands[name], environment, folder))
    plain = median(taken[PLAIN])
    ratio = {name: median(times) / plain for name, times in taken.items()}
    without = None if YAML in commands else "check-jsonschema is not installed: pip install 'vmcsc[dev]'"
    return [
        Row("python -c pass", plain * 1000, "ms"),
        Row("vmcsc --version", ratio[VERSION], "x", 2.5),
        Row("vmcsc check, policy seen before", ratio[SEEN], "x", 6),
        Row("vmcsc check, changed policy", ratio[CHANGED], "x", 13),
        Row("vmcsc emit c-header, changed policy", ratio[HEADER], "x", 14),
        Row("vmcsc diagnose, one dump", ratio[DIAGNOSED], "x", 14),
        Row("check-jsonschema, YAML of that size", ratio.get(YAML), "x", note=without or "for comparison"),
    ]


def _commands(folder: Path) -> dict[str, Command]:
    seen, changed, data = folder / "seen.vmcs", folder / "changed.vmcs", folder / "data.yaml"
    text = POLICY.read_text(encoding="utf-8")
    seen.write_text(text, encoding="utf-8")
    (folder / "schema.json").write_text(SCHEMA, encoding="utf-8")
    data.write_text(_yaml(len(text)), encoding="utf-8")
    change = _Change(changed, text)
    (folder / "dmesg.txt").write_text(whole_dump(), encoding="utf-8")
    vmcsc = _vmcsc()
    commands = {
        PLAIN: Command([sys.executable, "-c", "pass"]),
        VERSION: Command([*vmcsc, "--version"]),
        SEEN: Command([*vmcsc, "check", str(seen)]),
        CHANGED: Command([*vmcsc, "check", str(changed)], change),
        HEADER: Command([*vmcsc, "emit", "c-header", str(changed), "-o", str(folder / "vmcs.h")], change),
        DIAGNOSED: Command([*vmcsc, "diagnose", str(folder / "dmesg.txt")], code=1),
    }
    if find_spec("check_jsonschema") is not None:
        validator = [sys.executable, "-m", "check_jsonschema", "--schemafile", str(folder / "schema.json"), str(data)]
        commands[YAML] = Command(validator)
    return commands


class _Change:
    """Writes the policy with another number in a field, so that nobody has compiled it before."""

    def __init__(self, path: Path, text: str) -> None:
        self._path, self._text, self._count = path, text.rstrip().removesuffix("}"), 0

    def __call__(self) -> None:
        self._count += 1
        added = f"  tpr_threshold = {self._count % 8}  # {self._count}\n}}\n"
        self._path.write_text(self._text + added, encoding="utf-8")


def _vmcsc() -> list[str]:
    """The script that users run, if it is installed beside this Python."""
    script = Path(sys.executable).with_name("vmcsc")
    return [str(script)] if script.exists() else [sys.executable, "-m", "vmcsc"]


def _environment(folder: Path) -> dict[str, str]:
    """The caches lie in the scratch folder, so that nothing of the user's is read or written."""
    return {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONDONTWRITEBYTECODE": "", "NO_COLOR": "1"}


def _run(command: Command, environment: dict[str, str], folder: Path) -> float:
    command.before()

    def run() -> None:
        done = subprocess.run(command.arguments, env=environment, cwd=folder, capture_output=True, check=False)
        if done.returncode != command.code:
            raise SystemExit(f"{' '.join(command.arguments)} exits with {done.returncode}:\n{done.stderr.decode()}")

    return elapsed(run)


def _yaml(size: int) -> str:
    lines, length = [], 0
    while length < size:
        lines.append(f"control_{len(lines)}: required, as the hypervisor has it")
        length += len(lines[-1]) + 1
    return "\n".join(lines) + "\n"
