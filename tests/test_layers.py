"""Data flows one way: a module imports only from rooms above its own."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "vmcsc"
BACKENDS = Path(__file__).parent.parent / "backends"

ROOMS = [
    "records",
    "cache",
    "source",
    "diagnostic",
    "codes",
    "resources",
    "errors",
    "yamlnodes",
    "architecture",
    "syntax",
    "expression",
    "capabilities",
    "policy",
    "vmcs",
    "resolve",
    "check",
    "assembly",
    "machine",
    "scenario",
    "bochs",
    "bytecode",
    "kvm",
    "diagnose",
    "ignore",
    "result",
    "loading",
    "inputs",
    "pipeline",
    "backend",
    "report",
    "cli",
]
"""The order of the house. The package's own `__init__` only names what the rooms offer."""

MODULES = sorted(
    path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem not in ("__init__", "__main__")
)


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imported_modules(path: Path) -> set[str]:
    """Every module of ours that the file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" if node.module == "vmcsc" else node.module for alias in node.names}
    return {name for name in found if name.split(".")[0] == "vmcsc"}


def test_every_module_belongs_to_a_room() -> None:
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES}
    assert rooms - {"backends"} <= set(ROOMS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_rooms_above(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "backends":
        assert imported_modules(path) == {"vmcsc.backend"}
        return
    for module in imported_modules(path):
        if module == "vmcsc.__version__":
            continue
        room = room_of(module)
        assert ROOMS.index(room) <= ROOMS.index(own), f"{own} imports {module}"


@pytest.mark.parametrize("path", sorted(BACKENDS.rglob("*.py")), ids=lambda path: str(path.relative_to(BACKENDS)))
def test_a_back_end_knows_neither_the_command_line_nor_another_back_end(path: Path) -> None:
    own = f"vmcsc.backends.{path.relative_to(BACKENDS).parts[0]}"
    for module in imported_modules(path):
        assert room_of(module) not in ("report", "cli", "pipeline"), module
        assert not module.startswith("vmcsc.backends.") or module.startswith(own), module


def test_nothing_imports_a_back_end_by_name() -> None:
    for path in MODULES:
        assert not any(module.startswith("vmcsc.backends.") for module in imported_modules(path)), path


def test_the_public_names_are_where_the_package_says() -> None:
    import vmcsc

    for name in vmcsc.__all__:
        assert getattr(vmcsc, name) is not None
