"""The headers of the shipped policies compile everywhere without a warning, and run."""

from __future__ import annotations

import re
import shutil
import subprocess
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.backends.driver import STRICT, Job, build, compiler, program_text, subject
from vmcsc.architecture.database import Database
from vmcsc.backend import emit
from vmcsc.capabilities.cpu import Cpu
from vmcsc.capabilities.readers import shipped_cpus
from vmcsc.loading import load
from vmcsc.pipeline import compile
from vmcsc.vmcs import Vmcs

POLICIES = ("introspection", "kvm_6_1", "kvm_7_3", "kvm_classic", "kvm_story", "minimal")
NONE = Cpu("none", "no processor")

C_STANDARDS = ("c99", "c11", "c17")
LANGUAGES = [
    *(("gcc", f"-std={standard}") for standard in C_STANDARDS),
    ("g++", "-std=c++17"),
    *(("clang", f"-std={standard}") for standard in C_STANDARDS if shutil.which("clang")),
    *([("clang++", "-std=c++17")] if shutil.which("clang++") else []),
]

OWN_TYPES = """typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;
"""

MAIN = """
static int failed;
static uint64_t read_msr(void *context, uint32_t index) { (void)context; (void)index; return 0xffffffff00000000ull; }
static int write_field(void *context, uint32_t encoding, uint64_t value)
{
    (void)encoding; (void)value;
    ++*(unsigned *)context;
    return 0;
}
"""
"""A processor that allows everything and insists on nothing. (Bit 55 of IA32_VMX_BASIC is set: TRUE MSRs exist.)"""


@dataclass(frozen=True)
class Emitted:
    policy: str
    cpu: str
    text: str


def vmcs_of(policy: str, database: Database) -> Vmcs:
    vmcs = compile(policy, NONE, database).vmcs
    assert vmcs is not None
    return vmcs


def header_of(vmcs: Vmcs, **options: object) -> str:
    (artifact,) = emit(vmcs, "c-header", **options)
    assert isinstance(artifact.content, str)
    return artifact.content


def code_of(text: str) -> str:
    """The header behind its opening comment."""
    opening, end, code = text.partition("*/\n")
    assert opening.startswith("/*\n") and end
    return code


def caller(prefix: str) -> str:
    """A function that applies the policy on that processor, and fails if it is not granted or writes nothing."""
    return f"""
static void apply_{prefix}(void)
{{
    struct {prefix}_arguments arguments;
    struct {prefix}_vmcs vmcs;
    unsigned written = 0u;
    {prefix}_defaults(&arguments);
    if ({prefix}_apply(&arguments, &vmcs, read_msr, write_field, &written) != VMCSC_OK || written < 8u)
        failed = 1;
}}
"""


def run(command: list[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"{command}\n{done.stdout[:2000]}{done.stderr[:4000]}"


def compile_and_run(source: str, folder: Path, name: str, *options: str) -> None:
    suffix = "cc" if "++" in name else "c"
    path = folder / f"main.{suffix}"
    path.write_text(source)
    program = folder / "main"
    run([compiler(name), *options, *STRICT, path, "-o", program])
    run([program])


@pytest.fixture(scope="module")
def emitted(database: Database) -> list[Emitted]:
    """Every shipped policy for every shipped CPU and for none."""
    found = []
    for policy in POLICIES:
        found.append(Emitted(policy, "none", header_of(vmcs_of(policy, database))))
        for cpu, vmcs in compile(policy, shipped_cpus(database), database).by_cpu.items():
            found.append(Emitted(policy, cpu, header_of(vmcs)))
    return found


def test_every_policy_has_a_header_for_every_cpu(emitted: list[Emitted], database: Database) -> None:
    assert {e.policy for e in emitted} == set(database.files("policies", ".vmcs"))
    assert len(emitted) == len(POLICIES) * (13 + 1)


def test_every_policy_is_granted_by_a_cpu_or_the_findings_say_where_it_is_not(database: Database) -> None:
    """What the header would find out on that CPU, and refuse, the library says before."""
    granted = 0
    for policy in POLICIES:
        for cpu in shipped_cpus(database):
            result = compile(policy, cpu, database)
            assert result.ok or all(d.cpus == (cpu,) for d in result.diagnostics)
            assert list(result.by_cpu) == [cpu]
            granted += result.ok
    assert 0 < granted < len(POLICIES) * 13


def test_only_the_opening_comment_depends_on_the_cpu(emitted: list[Emitted]) -> None:
    for policy in POLICIES:
        texts = [e.text for e in emitted if e.policy == policy]
        assert len({code_of(text) for text in texts}) == 1
        assert len(set(texts)) == 14  # and it does


def distinct(emitted: list[Emitted]) -> Iterator[tuple[str, str]]:
    """Each code once, with all the opening comments in which it was found."""
    for policy in POLICIES:
        texts = [e.text for e in emitted if e.policy == policy]
        openings = "".join(text.partition("*/\n")[0] + "*/\n" for text in texts)
        yield policy, openings + code_of(texts[0])


@pytest.mark.parametrize(("name", "standard"), LANGUAGES, ids=lambda value: value.removeprefix("-std="))
def test_the_headers_compile_without_a_warning_and_run(
    name: str, standard: str, emitted: list[Emitted], tmp_path: Path
) -> None:
    for policy, text in distinct(emitted):
        (tmp_path / f"{policy}.h").write_text(text)
    includes = "".join(f'#include "{policy}.h"\n' for policy in POLICIES)
    calls = "".join(f"    apply_{policy}();\n" for policy in POLICIES)
    main = f"int main(void)\n{{\n{calls}    return failed;\n}}\n"
    compile_and_run(includes + MAIN + "".join(map(caller, POLICIES)) + main, tmp_path, name, standard)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("name", "standard"), [("gcc", "-std=c99"), ("g++", "-std=c++17")])
def test_each_header_stands_alone(name: str, standard: str, policy: str, database: Database, tmp_path: Path) -> None:
    """It includes what it needs, and compiles as a file of its own too, with nothing called."""
    path = tmp_path / f"{policy}.h"
    path.write_text(header_of(vmcs_of(policy, database)))
    language = "c++" if "++" in name else "c"
    more = ("-Wshadow", "-Wundef", "-Wcast-qual", *(() if language == "c++" else ("-Wstrict-prototypes", "-Wvla")))
    run([compiler(name), "-x", language, standard, *STRICT, *more, "-fsyntax-only", path])


def test_the_functions_run_without_undefined_behaviour(database: Database, tmp_path: Path) -> None:
    subjects = [subject(vmcs_of(policy, database)) for policy in POLICIES]
    program = build(subjects, tmp_path, "-std=c11", "-O2", "-fsanitize=undefined", "-fno-sanitize-recover=all")
    for bits in (0, (1 << 64) - 1, 0x5555555555555555, 0xAAAAAAAAAAAAAAAA):
        msrs = dict.fromkeys(range(0x480, 0x494), bits)
        assert len(program.run([Job(policy, msrs) for policy in POLICIES])) == len(POLICIES)


def test_two_translation_units_that_include_the_same_headers_link(database: Database, tmp_path: Path) -> None:
    for policy in POLICIES:
        (tmp_path / f"{policy}.h").write_text(header_of(vmcs_of(policy, database)))
    for name, suffix, standard in (("gcc", "c", "-std=c99"), ("g++", "cc", "-std=c++17")):
        includes = "".join(f'#include "{policy}.h"\n' for policy in POLICIES)
        own = MAIN + "".join(map(caller, POLICIES)) + "int other(void);\n"
        calls = "".join(f"    apply_{policy}();\n" for policy in POLICIES)
        main = f"int main(void)\n{{\n{calls}    return failed + other();\n}}\n"
        other = f"int other(void)\n{{\n{calls}    return failed;\n}}\n"
        (tmp_path / f"one.{suffix}").write_text(includes + own + main)
        (tmp_path / f"two.{suffix}").write_text(includes + own + other)
        sources = [tmp_path / f"one.{suffix}", tmp_path / f"two.{suffix}"]
        run([compiler(name), standard, *STRICT, *sources, "-o", tmp_path / "linked"])
        run([tmp_path / "linked"])


def test_a_header_included_twice_is_read_once(database: Database, tmp_path: Path) -> None:
    (tmp_path / "minimal.h").write_text(header_of(vmcs_of("minimal", database)))
    source = '#include "minimal.h"\n' * 2 + MAIN + caller("minimal")
    compile_and_run(source + "int main(void) { apply_minimal(); return failed; }\n", tmp_path, "gcc", "-std=c99")


def test_headers_that_differ_in_their_facts_do_not_mix(database: Database, tmp_path: Path) -> None:
    """Two headers of different versions of the specs, in one file, would share the facts of the first."""
    (tmp_path / "minimal.h").write_text(header_of(vmcs_of("minimal", database)))
    text = header_of(vmcs_of("kvm_6_1", database))
    number = text.partition("#define VMCSC_ARCHITECTURE ")[2].partition("\n")[0]
    (tmp_path / "kvm_6_1.h").write_text(text.replace(number, "0x12345678u"))
    source = tmp_path / "main.c"
    source.write_text('#include "minimal.h"\n#include "kvm_6_1.h"\n')
    done = subprocess.run([compiler("gcc"), "-fsyntax-only", source], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "come from different specs: generate both again" in done.stderr


def test_names_can_be_left_out(database: Database, tmp_path: Path) -> None:
    (tmp_path / "minimal.h").write_text(header_of(vmcs_of("minimal", database)))
    source = '#define VMCSC_NO_NAMES\n#include "minimal.h"\n' + MAIN + caller("minimal")
    main = "const char *vmcsc_control_name = 0;\nint main(void) { apply_minimal(); return failed; }\n"
    compile_and_run(source + main, tmp_path, "gcc", "-std=c99")
    text = subprocess.run([tmp_path / "main"], check=True, capture_output=True)
    assert text.returncode == 0
    assert b"hlt_exiting" not in (tmp_path / "main").read_bytes()


def test_names_say_what_was_refused(database: Database, tmp_path: Path) -> None:
    (tmp_path / "minimal.h").write_text(header_of(vmcs_of("minimal", database)))
    source = """#include <string.h>
#include "minimal.h"
static uint64_t nothing(void *context, uint32_t index) { (void)context; (void)index; return 0u; }
static int never(void *context, uint32_t encoding, uint64_t value)
{
    (void)context; (void)encoding; (void)value;
    return 1;
}
int main(void)
{
    struct minimal_arguments arguments;
    struct minimal_vmcs vmcs;
    struct vmcsc_control control;
    minimal_defaults(&arguments);
    if (minimal_apply(&arguments, &vmcs, nothing, never, 0) != VMCSC_REFUSED)
        return 1;
    if (!vmcsc_first_refused(&vmcs.result, &control))
        return 2;
    if (strcmp(vmcsc_control_name(control.word, control.mask), "vm_exit.host_address_space_size") != 0)
        return 3;
    vmcs.result.refused[control.word] = 0u;
    if (!vmcsc_first_refused(&vmcs.result, &control))
        return 4;
    if (control.word != VMCSC_WORD_VM_ENTRY || control.mask != VMCSC_VM_ENTRY_IA_32E_MODE_GUEST)
        return 5;
    vmcs.result.refused[control.word] = 0u;
    if (vmcsc_first_refused(&vmcs.result, &control))
        return 6;
    if (strcmp(vmcsc_control_name(VMCSC_WORD_PIN_BASED, 2u), "reserved") != 0)
        return 7;
    return strcmp(vmcsc_rule_name(0u), "VMX4001 exec-virtual-nmi-needs-nmi-exiting") != 0;
}
"""
    compile_and_run(source, tmp_path, "gcc", "-std=c99")


def test_a_vmwrite_that_fails_ends_the_writing_and_is_named(database: Database, tmp_path: Path) -> None:
    (tmp_path / "kvm_classic.h").write_text(header_of(vmcs_of("kvm_classic", database)))
    source = """#include "kvm_classic.h"
struct stop { unsigned after; unsigned written; };
static uint64_t everything(void *context, uint32_t index) { (void)context; (void)index; return 0xffffffff00000000ull; }
static int stop_after(void *context, uint32_t encoding, uint64_t value)
{
    struct stop *stop = (struct stop *)context;
    (void)encoding; (void)value;
    return stop->written++ == stop->after;
}
int main(void)
{
    struct kvm_classic_arguments arguments;
    struct kvm_classic_vmcs vmcs;
    struct stop stop;
    int outcome;
    kvm_classic_defaults(&arguments);
    for (stop.after = 0u;; stop.after++) {
        stop.written = 0u;
        outcome = kvm_classic_apply(&arguments, &vmcs, everything, stop_after, &stop);
        if (outcome == VMCSC_OK)
            break;
        if (outcome != VMCSC_WRITE_FAILED || stop.written != stop.after + 1u || !vmcs.result.write_failed)
            return 1;
        if (stop.after == 0u && vmcs.result.failed_field != VMCSC_FIELD_PIN_BASED_VM_EXECUTION_CONTROLS)
            return 2;
        if (stop.after == 8u && vmcs.result.failed_field != VMCSC_FIELD_VIRTUAL_PROCESSOR_ID)
            return 3;
    }
    return stop.after == 16u && !vmcs.result.write_failed ? 0 : 4;
}
"""
    compile_and_run(source, tmp_path, "gcc", "-std=c99")


# --- without a C library: kernels, EDK2 ---


def test_without_stdint_the_header_is_content_with_types_of_ones_own(database: Database, tmp_path: Path) -> None:
    text = header_of(vmcs_of("kvm_classic", database), stdint=False)
    assert "#include" not in text
    (tmp_path / "kvm_classic.h").write_text(text)
    source = tmp_path / "kernel.c"
    source.write_text(OWN_TYPES + '#include "kvm_classic.h"\n' + MAIN + caller("kvm_classic") + KERNEL_ENTRY)
    freestanding = ("-ffreestanding", "-nostdinc", "-fno-builtin", "-mno-red-zone", "-mgeneral-regs-only")
    for standard in C_STANDARDS:
        run([compiler("gcc"), f"-std={standard}", *STRICT, *freestanding, "-c", source, "-o", tmp_path / "kernel.o"])
    gnu = ("-std=gnu11", "-Wdeclaration-after-statement", "-Wundef", "-Wstrict-prototypes", "-O2")
    run([compiler("gcc"), *gnu, *STRICT, *freestanding, "-c", source, "-o", tmp_path / "kernel.o"])
    symbols = subprocess.run(["nm", "-u", tmp_path / "kernel.o"], capture_output=True, text=True, check=True).stdout
    assert set(symbols.split()) - {"U"} <= {"memset", "memcpy", "__stack_chk_fail"}  # what gcc itself asks for


KERNEL_ENTRY = "int entry(void);\nint entry(void) { apply_kvm_classic(); return failed; }\n"


def test_a_macro_leaves_stdint_out_too(database: Database, tmp_path: Path) -> None:
    (tmp_path / "kvm_classic.h").write_text(header_of(vmcs_of("kvm_classic", database)))
    source = tmp_path / "edk2.c"
    types = "typedef unsigned char UINT8;\ntypedef unsigned short UINT16;\ntypedef unsigned int UINT32;\n"
    types += "typedef unsigned long long UINT64;\n"
    types += "".join(f"#define uint{n}_t UINT{n}\n" for n in (8, 16, 32, 64)) + "#define VMCSC_NO_STDINT\n"
    source.write_text(types + '#include "kvm_classic.h"\n' + MAIN + caller("kvm_classic") + KERNEL_ENTRY)
    run(
        [
            compiler("gcc"),
            "-std=c11",
            *STRICT,
            "-nostdinc",
            "-ffreestanding",
            "-fshort-wchar",
            "-c",
            source,
            "-o",
            "/dev/null",
        ]
    )


@pytest.mark.parametrize(("name", "standard"), [("gcc", "-std=c99"), ("gcc", "-std=c11"), ("g++", "-std=c++17")])
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("typedef unsigned long long uint64_t;", "typedef unsigned int uint64_t;"),
        ("typedef unsigned int uint32_t;", "typedef int uint32_t;"),
        ("#define VMCSC_PRIMARY_HLT_EXITING                 0x00000080u", "#define VMCSC_PRIMARY_HLT_EXITING 0x04u"),
        ("VMCSC_4096(0xff)", "VMCSC_1024(0xff)"),
        ("    VMCSC_FIELD_VM_EXIT_CONTROLS,\n", ""),
    ],
    ids=["width", "sign", "shared-bit", "short-page", "short-table"],
)
def test_a_wrong_assumption_stops_the_compiler(
    name: str, standard: str, right: str, wrong: str, database: Database, tmp_path: Path
) -> None:
    text = OWN_TYPES + header_of(vmcs_of("introspection", database), stdint=False)
    assert right in text
    command = [compiler(name), "-x", "c++" if "++" in name else "c", standard, "-fsyntax-only", "-"]
    assert subprocess.run(command, input=text, text=True, capture_output=True, check=False).returncode == 0
    broken = text.replace(right, wrong, 1)
    done = subprocess.run(command, input=broken, text=True, capture_output=True, check=False)
    assert done.returncode != 0
    assert "static" in done.stderr  # static assertion failed, or: size of 'vmcsc_static_assertion' is negative


def test_the_example_of_the_readme_compiles_and_runs(database: Database, tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    (example,) = re.findall(r"```c\n(.*?)```", readme, re.DOTALL)
    include, _, statements = example.partition("\n")
    (name,) = re.findall(r"(\w+)\.h", include)
    (tmp_path / f"{name}.h").write_text(header_of(vmcs_of(name, database)))
    given = "static uint64_t physical_address_of(const uint8_t *page) { return (uint64_t)(uintptr_t)page; }\n"
    given += "static void report(const struct vmcsc_result *result) { failed = result->refused[0] == 0u; }\n"
    calls = textwrap.indent(statements.replace("my_rdmsr", "read_msr").replace("my_vmwrite", "write_field"), "    ")
    count = "    unsigned written = 0u;\n    void *context = &written;\n"
    main = f"int main(void)\n{{\n{count}{calls}    return failed || written < 8u;\n}}\n"
    compile_and_run(f"{include}\n{MAIN}{given}{main}", tmp_path, "gcc", "-std=c99")


def test_further_rules_of_a_house_become_c_too(tmp_path: Path) -> None:
    """More rules than one word has bits, and rules over three controls and over one."""
    tied = "primary.hlt_exiting and primary.pause_exiting"
    alone = "not primary.monitor_trap_flag"
    rules = [("three", tied, "primary.mwait_exiting"), ("alone", None, alone)]
    rules += [(f"filler-{n}", "primary.use_io_bitmaps", "primary.hlt_exiting") for n in range(50)]
    entries = "".join(
        f"  - id: house-{name}\n    code: VMX48{n:02}\n    section: Ours\n"
        + (f"    when: {when}\n" if when else "")
        + f"    require: {require}\n    outcome: {{instruction_error: 7}}\n    why: Our house wants it.\n"
        for n, (name, when, require) in enumerate(rules)
    )
    overlay = tmp_path / "specs"
    overlay.mkdir()
    (overlay / "checks.yaml").write_text(f"kind: checks\nchecks:\n{entries}")
    extended = load(overlay)
    controls = "require hlt_exiting, pause_exiting, monitor_trap_flag"
    vmcs = compile(f"policy house {{ primary {{ {controls}; prefer mwait_exiting }} }}", NONE, extended).vmcs
    assert vmcs is not None
    program = build([subject(vmcs)], tmp_path)
    everything = dict.fromkeys(range(0x480, 0x494), 0xFFFFFFFF << 32)
    (granted,) = program.run([Job("house", everything)])
    (without_mwait,) = program.run([Job("house", everything | {0x48E: everything[0x48E] & ~(1 << 42), 0x480: 1 << 55})])
    first = program.rules.index("house-three")
    assert granted.violated == 1 << first + 1  # monitor_trap_flag
    assert without_mwait.violated == 0b11 << first
    text = header_of(vmcs)
    assert f"#define VMCSC_RULES      {len(program.rules)}u" in text
    assert len(program.rules) > 64
    assert "#define VMCSC_RULE_WORDS 2u" in text


# --- macros ---


def test_no_macro_is_defined_twice(database: Database) -> None:
    text = header_of(vmcs_of("introspection", database))
    names = [line.split()[1].partition("(")[0] for line in text.splitlines() if line.startswith("#define")]
    platform = {"VMCSC_STATIC_ASSERT", "VMCSC_PAGE"}
    assert [name for name in names if names.count(name) > 1 and name not in platform] == []


def test_no_line_is_wider_than_a_screen(database: Database) -> None:
    for policy in POLICIES:
        code = code_of(header_of(vmcs_of(policy, database)))
        assert [line for line in code.splitlines() if len(line) > 115] == []


def test_the_prefix_is_an_option(database: Database, tmp_path: Path) -> None:
    """So that two versions of one policy can stand side by side."""
    vmcs = vmcs_of("minimal", database)
    subjects = [subject(vmcs), subject(vmcs, "other")]
    source = tmp_path / "main.c"
    for about in subjects:
        (tmp_path / f"{about.prefix}.h").write_text(about.text)
    source.write_text(program_text(subjects))
    run([compiler("gcc"), "-std=c99", *STRICT, source, "-o", tmp_path / "main"])
