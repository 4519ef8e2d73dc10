"""The programs that building and running the harness takes, and what to install where one is missing."""

from __future__ import annotations

import shutil
from pathlib import Path

from vmcsc.errors import VmcscError
from vmcsc.records import dataclass

_PROGRAMS = {"bochs": "bochs", "nasm": "nasm", "gcc": "gcc", "ld": "binutils", "objcopy": "binutils"}
"""Programs, and the packages of Debian that have them."""

_BIOS = (("bochs/BIOS-bochs-latest",), "bochsbios")
_VGA = (("vgabios/vgabios.bin", "bochs/VGABIOS-lgpl-latest", "bochs/VGABIOS-lgpl-latest.bin"), "vgabios")
_SHARES = ("/usr/share", "/usr/local/share", "/opt/homebrew/share")


@dataclass(frozen=True, slots=True)
class Tools:
    """Paths of programs, and of the images that Bochs boots with."""

    bochs: str
    nasm: str
    gcc: str
    ld: str
    objcopy: str
    bios: str
    vga: str


def find_tools() -> Tools:
    """All of them. Raises `VmcscError` that names the packages to install."""
    found: dict[str, str] = {}
    missing: dict[str, str] = {}
    for program, package in _PROGRAMS.items():
        path = shutil.which(program)
        if path is None:
            missing[program] = package
        else:
            found[program] = path
    for name, (places, package) in (("bios", _BIOS), ("vga", _VGA)):
        image = _image(places)
        if image is None:
            missing[places[0]] = package
        else:
            found[name] = image
    if missing:
        packages = " ".join(sorted(set(missing.values())))
        raise VmcscError(
            f"to run something on Bochs, {', '.join(missing)} must be there; "
            f"on Debian and Ubuntu: apt-get install {packages}"
        )
    return Tools(**found)


def _image(places: tuple[str, ...]) -> str | None:
    for share in _SHARES:
        for place in places:
            path = Path(share, place)
            if path.is_file():
                return str(path)
    return None
