"""The kernel's own dump_vmcs(), taken from its sources when a test runs and compiled in user space."""

from __future__ import annotations

import hashlib
import re
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

from tests.kvm.trees import CACHE, tarball

HERE = Path(__file__).parent

FILES = (
    "kvm/vmx/vmx.c", "include/asm/vmx.h", "include/uapi/asm/vmx.h", "include/asm/vmxfeatures.h", "include/asm/trapnr.h",
)  # fmt: skip

HAS = ("secondary", "tertiary", "ept", "perf", "true_ve_info")
"""What a processor may have, besides what is in its VMCS, on which the lines of a dump depend."""

_STUBS = {
    "linux/bitops.h": """
#define BIT(n) (1UL << (n))
#define BIT_ULL(n) (1ULL << (n))
#define GENMASK(h, l) (((~0UL) << (l)) & (~0UL >> (63 - (h))))
#define GENMASK_ULL GENMASK
""",
    "linux/bug.h": "",
    "linux/types.h": """
#include <assert.h>
#include <stddef.h>
#define __packed __attribute__((packed))
#define __aligned(n) __attribute__((aligned(n)))
""",
}
"""Headers of the kernel, as far as they are needed here."""


def sources(version: str) -> Path:
    """The files of a version that dumping is in, unpacked once."""
    archive = tarball(version)
    assert archive is not None
    state = archive.stat()
    mark = hashlib.sha256(f"{archive.name} {state.st_size} {state.st_mtime_ns} {FILES}".encode()).hexdigest()[:12]
    place = CACHE / f"dump-{version}-{mark}"
    if not all((place / name).is_file() for name in FILES):
        wanted = {f"arch/x86/{name}": place / name for name in FILES}
        with tarfile.open(archive) as packed:
            for member in packed:
                target = wanted.pop(member.name.partition("/")[2], None)
                stream = None if target is None else packed.extractfile(member)
                if target is not None and stream is not None:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(stream.read())
                if not wanted:
                    break
    return place


def code_of(text: str) -> str:
    """The functions that dump, from the file of KVM that has them."""
    start = text.index("static void vmx_dump_sel(")
    last = re.compile(r"^(?:static )?void dump_vmcs\(", re.MULTILINE).search(text)
    assert last is not None
    return text[start : text.index("\n}\n", last.start()) + 3]


def build(version: str, folder: Path) -> Path:
    """Compile the dumper of a version in `folder`."""
    return build_from(sources(version), "kvm/vmx/vmx.c", folder)


def build_from(tree: Path, file: str, folder: Path) -> Path:
    """Compile the dumper of a tree that has the files as below arch/x86 of Linux."""
    code = code_of((tree / file).read_text())
    for name, text in _STUBS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "code.inc").write_text(code)
    (folder / "dumped.inc").write_text(
        "#include <linux/types.h>\n#include <asm/vmx.h>\n"
        f"#define DUMP_TAKES_NOTHING {int('dump_vmcs(void)' in code)}\n"
        f"#define STORE_IS_FLAT {int('&vmx->msr_autostore)' in code)}\n"
        f"#define HAS_VE_INFO {int('struct vmx_ve_information {' in (tree / 'include/asm/vmx.h').read_text())}\n"
        f"#define PERF_IS_VARIABLE {int('cpu_has_load_perf_global_ctrl &&' in code)}\n"
        '#include "linux.inc"\n'
    )
    (folder / "has.inc").write_text("".join(f"HAS({name})\n" for name in HAS))
    program = folder / "dumper"
    command = ["gcc", "-O1", "-w", "-o", str(program), str(HERE / "dumper.c"), f"-I{folder}", f"-I{HERE}",
               f"-I{tree}/include"]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, text=True)
    return program


class Dumper:
    """A running dumper."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen([str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def dump(
        self,
        values: Mapping[int, int],
        has: Mapping[str, bool] | None = None,
        msrs: Mapping[str, list[tuple[int, int]]] | None = None,
        efer: int = 0,
        prefix: str = "",
    ) -> tuple[str, frozenset[int]]:
        """The dump of fields by their encodings, and which of them were read for it."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        lines = ["r", f"p {prefix}", f"e {efer:x}"]
        lines += [f"h {name} {int((has or {}).get(name, True))}" for name in HAS]
        lines += [f"f {encoding:x} {value:x}" for encoding, value in values.items()]
        lines += [f"m {name} {index:x} {value:x}" for name, entries in (msrs or {}).items() for index, value in entries]
        stdin.write("\n".join([*lines, "g", ""]))
        stdin.flush()
        dumped = []
        while (line := stdout.readline()) != "--\n":
            assert line, "the dumper died"
            dumped.append(line)
        return "".join(dumped), frozenset(int(one, 16) for one in stdout.readline().split())
