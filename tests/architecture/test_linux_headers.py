"""Names and numbers of the specs against the headers of a real kernel, compared by a C compiler.

The headers come from Debian's package linux-source-6.1 at test time; none of their text is kept here.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import skip_or_fail
from vmcsc.architecture.database import Database

TARBALL = Path("/usr/src/linux-source-6.1.tar.xz")
HEADERS = ("asm/vmx.h", "uapi/asm/vmx.h", "asm/vmxfeatures.h")
STAND_INS = {
    "linux/types.h": """
#include <stdint.h>
typedef uint64_t u64;
typedef uint32_t u32;
typedef uint16_t u16;
typedef uint8_t u8;
#define __aligned(bytes) __attribute__((aligned(bytes)))
#define WARN_ON_ONCE(condition) ((void)(condition))
""",
    "linux/bitops.h": """
#define BIT(n) (1ull << (n))
#define BIT_ULL(n) BIT(n)
#define GENMASK_ULL(high, low) (~0ull >> (63 - (high)) & ~0ull << (low))
""",
}
"""For what the headers include from the rest of the kernel."""

DEFAULT1 = {
    "pin_based": "PIN_BASED_ALWAYSON_WITHOUT_TRUE_MSR",
    "primary": "CPU_BASED_ALWAYSON_WITHOUT_TRUE_MSR",
    "vm_exit": "VM_EXIT_ALWAYSON_WITHOUT_TRUE_MSR",
    "vm_entry": "VM_ENTRY_ALWAYSON_WITHOUT_TRUE_MSR",
}

CONTROL_PREFIXES = ("PIN_BASED_", "CPU_BASED_", "SECONDARY_EXEC_", "TERTIARY_EXEC_", "VM_EXIT_", "VM_ENTRY_")
RENAMED = {"SECONDARY_EXEC_XSAVES"}
"""Names of Linux 6.1 that later kernels changed; the specs have the later ones."""

NOT_CONTROLS = {
    f"VMX_FEATURE_{name}" for name in ("INVVPID", "EPT_EXECUTE_ONLY", "EPT_AD", "EPT_1GB", "FLEXPRIORITY", "APICV")
}
"""Features that are bits of IA32_VMX_EPT_VPID_CAP, or several controls at once."""


@dataclass(frozen=True)
class Kernel:
    """The headers, the compiler, and the names that the headers define (without a macro's parameters)."""

    include: Path
    gcc: str
    macros: frozenset[str]
    enumerators: Mapping[str, frozenset[str]]


@pytest.fixture(scope="session")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    gcc = shutil.which("gcc")
    if gcc is None:
        skip_or_fail("there is no gcc to compare the specs with the kernel's headers (apt-get install gcc)")
    if not TARBALL.is_file():
        skip_or_fail(f"{TARBALL} is not there (apt-get install linux-source-6.1)")
    include = tmp_path_factory.mktemp("kernel")
    extract(include)
    for name, text in STAND_INS.items():
        path = include / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    probe = '#include "asm/vmx.h"\n'
    macros = re.findall(r"^#define (\w+) ", preprocessed(gcc, include, probe, "-dM"), re.MULTILINE)
    bodies = re.findall(r"\benum\s+(\w+)\s*\{([^}]*)\}", preprocessed(gcc, include, probe, "-P"))
    enumerators = {name: frozenset(re.findall(r"\b([A-Z]\w*)\s*(?:=|,|$)", body)) for name, body in bodies}
    return Kernel(include, gcc, frozenset(macros), enumerators)


def extract(include: Path) -> None:
    """Copy the headers out of the tarball, reading no further than needed."""
    wanted = {f"arch/x86/include/{name}": name for name in HEADERS}
    with tarfile.open(TARBALL, "r|xz") as archive:
        for member in archive:
            name = wanted.pop(member.name.partition("/")[2], None)
            content = None if name is None else archive.extractfile(member)
            if name is not None and content is not None:
                path = include / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.read())
            if not wanted:
                return
    raise AssertionError(f"{TARBALL} lacks {', '.join(wanted)}")


def preprocessed(gcc: str, include: Path, text: str, option: str) -> str:
    command = [gcc, "-E", option, "-I", str(include), "-x", "c", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True, timeout=60).stdout


def field_encodings(database: Database) -> Iterator[tuple[str, int]]:
    for field in database.fields.values():
        if field.linux is not None:
            yield field.linux, field.encoding
            high = database.encoding.high(field)
            if high is not None:
                yield f"{field.linux}_HIGH", high


def control_masks(database: Database) -> Iterator[tuple[str, int]]:
    for control in database.controls.values():
        if control.linux is not None:
            yield control.linux, control.mask


def default1_masks(database: Database) -> Iterator[tuple[str, int]]:
    for word, name in DEFAULT1.items():
        controls = database.words[word].controls
        yield name, database.words[word].reserved_default1 | sum(c.mask for c in controls if c.default1)


def exit_reasons(database: Database) -> Iterator[tuple[str, int]]:
    return ((r.linux, r.number) for r in database.exit_reasons.values() if r.linux is not None)


def instruction_errors(database: Database) -> Iterator[tuple[str, int]]:
    return ((e.linux, e.number) for e in database.instruction_errors.values() if e.linux is not None)


def feature_words(database: Database) -> Iterator[tuple[str, str, int]]:
    """For each control with a feature name: the name, its control word, and its bit."""
    for control in database.controls.values():
        if control.linux_feature is not None:
            yield control.linux_feature, control.word, control.bit


def differences(kernel: Kernel, pairs: list[tuple[str, int]], folder: Path) -> list[str]:
    """What a compiled comparison of each name's value with ours prints: a line for each that differs."""
    checks = "".join(f"    compare({name}, {number:#x}ull, {name});\n" for name, number in pairs)
    source = folder / "compare.c"
    source.write_text(
        '#include <stdio.h>\n#include "asm/vmx.h"\n'
        "#define compare(theirs, ours, name) do { compared++; if ((unsigned long long)(theirs) != (ours)) \\\n"
        '    printf("%s: Linux %#llx, specs %#llx\\n", #name, (unsigned long long)(theirs), ours); } while (0)\n'
        f'int main(void)\n{{\n    int compared = 0;\n{checks}    printf("%d\\n", compared);\n    return 0;\n}}\n'
    )
    program = folder / "compare"
    subprocess.run([kernel.gcc, "-I", kernel.include, source, "-o", program], check=True, timeout=60)
    lines = subprocess.run([program], capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    assert lines.pop() == str(len(pairs))
    return lines


def compare(
    kernel: Kernel, ours: Iterator[tuple[str, int]], defined: frozenset[str], folder: Path
) -> tuple[int, list[str]]:
    """How many names both have, and in which of them they differ."""
    common = [(name, number) for name, number in ours if name in defined]
    return len(common), differences(kernel, common, folder)


def told(capsys: pytest.CaptureFixture[str], count: int, what: str) -> None:
    with capsys.disabled():
        print(f"\n  gcc compared {count} {what} with the headers of {TARBALL.name}")


def test_field_encodings_equal_linuxs_and_none_of_linuxs_fields_is_missing(
    database: Database, kernel: Kernel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = kernel.enumerators["vmcs_field"]
    count, different = compare(kernel, field_encodings(database), theirs, tmp_path)
    told(capsys, count, "field encodings")
    assert different == []
    assert theirs - dict(field_encodings(database)).keys() == set()
    assert count == len(theirs) > 150


def test_control_bits_equal_linuxs_and_none_of_linuxs_is_missing(
    database: Database, kernel: Kernel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = {name for name in kernel.macros if name.startswith(CONTROL_PREFIXES)} - set(DEFAULT1.values())
    count, different = compare(kernel, control_masks(database), kernel.macros, tmp_path)
    told(capsys, count, "control bits")
    assert different == []
    assert theirs - dict(control_masks(database)).keys() == RENAMED


def test_the_default1_classes_equal_linuxs(
    database: Database, kernel: Kernel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    count, different = compare(kernel, default1_masks(database), kernel.macros, tmp_path)
    told(capsys, count, "default1 masks")
    assert different == []
    assert count == len(DEFAULT1)


def test_exit_reasons_equal_linuxs_and_none_of_linuxs_is_missing(
    database: Database, kernel: Kernel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = {name for name in kernel.macros if name.startswith("EXIT_REASON_")}
    count, different = compare(kernel, exit_reasons(database), kernel.macros, tmp_path)
    told(capsys, count, "exit reasons")
    assert different == []
    assert theirs - dict(exit_reasons(database)).keys() == set()


def test_instruction_errors_equal_linuxs_and_none_of_linuxs_is_missing(
    database: Database, kernel: Kernel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = kernel.enumerators["vm_instruction_error_number"]
    count, different = compare(kernel, instruction_errors(database), theirs, tmp_path)
    told(capsys, count, "VM-instruction errors")
    assert different == []
    assert theirs - dict(instruction_errors(database)).keys() == set()


def test_feature_bits_equal_linuxs_and_none_of_linuxs_is_missing(
    database: Database, kernel: Kernel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Linux numbers a feature 32 * word + bit; word 0 also holds VM functions, shifted to bits 28 and up."""
    first = {"pin_based": 0, "vm_function": 28, "primary": 32, "secondary": 64, "tertiary": 96}
    ours = {name: first[word] + bit for name, word, bit in feature_words(database)}
    theirs = {name for name in kernel.macros if name.startswith("VMX_FEATURE_")}
    count, different = compare(kernel, iter(ours.items()), kernel.macros, tmp_path)
    told(capsys, count, "feature bits")
    assert different == []
    assert theirs - ours.keys() == NOT_CONTROLS


def test_a_wrong_number_would_be_noticed(database: Database, kernel: Kernel, tmp_path: Path) -> None:
    name, number = next(iter(control_masks(database)))
    assert differences(kernel, [(name, number ^ 1)], tmp_path) != []
