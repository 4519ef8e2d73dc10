"""Print how large the project's Python files are: the largest, and the median. `python tests/sizes.py`"""

from __future__ import annotations

from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
LIMIT = 450


def sizes() -> dict[str, int]:
    """Lines of each hand-written module of the package and the back ends; `__init__` files of a docstring left out."""
    paths = [*(ROOT / "vmcsc").rglob("*.py"), *(ROOT / "backends").rglob("*.py")]
    counted = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in paths}
    return {path: lines for path, lines in counted.items() if lines > 5}


def main() -> None:
    found = sizes()
    largest = max(found, key=lambda path: found[path])
    print(
        f"{len(found)} Python files, {sum(found.values())} lines: median {median(found.values()):.0f}, "
        f"largest {largest} with {found[largest]} (limit {LIMIT})"
    )


if __name__ == "__main__":
    main()
