"""A kernel tree of a few lines: what the reader looks for, and nothing of Linux but names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from vmcsc.architecture.database import Database
from vmcsc.architecture.kvm import KvmWord, kvm_of
from vmcsc.loading import load

Lists = Mapping[str, tuple[Sequence[str], Sequence[str]]]
"""By word the required and the optional controls, by the names that Linux has for them."""

LISTS: Lists = {
    "primary": (
        ("CPU_BASED_HLT_EXITING", "CPU_BASED_CR3_LOAD_EXITING", "CPU_BASED_MOV_DR_EXITING"),
        ("CPU_BASED_RDTSC_EXITING", "CPU_BASED_USE_IO_BITMAPS", "CPU_BASED_ACTIVATE_SECONDARY_CONTROLS"),
    ),
    "secondary": (
        (),
        ("SECONDARY_EXEC_ENABLE_EPT", "SECONDARY_EXEC_ENABLE_VPID", "SECONDARY_EXEC_DESC", "SECONDARY_EXEC_ENABLE_PML"),
    ),
    "vm_exit": (("VM_EXIT_SAVE_DEBUG_CONTROLS", "VM_EXIT_HOST_ADDR_SPACE_SIZE"), ("VM_EXIT_LOAD_IA32_PAT",)),
    "pin_based": (("PIN_BASED_EXT_INTR_MASK", "PIN_BASED_NMI_EXITING"), ("PIN_BASED_VIRTUAL_NMIS",)),
    "vm_entry": (("VM_ENTRY_LOAD_DEBUG_CONTROLS", "VM_ENTRY_IA32E_MODE"), ("VM_ENTRY_LOAD_IA32_PAT",)),
}


@cache
def specs() -> Database:
    """The shipped specs, read once."""
    return load()


CHECK = "#define CHECK(val) BUILD_BUG_ON(!(val & (KVM_REQUIRED_VMX_##uname | KVM_OPTIONAL_VMX_##uname)))\n"

PAIRS = """\tstruct {
\t\tu32 entry_control, exit_control;
\t} const vmcs_entry_exit_pairs[] = {
\t\t{ VM_ENTRY_LOAD_IA32_PAT, VM_EXIT_LOAD_IA32_PAT },
\t};

\tcheck(vmcs_entry_exit_pairs, error_on_inconsistent_vmcs_config);
"""

AFTERWARDS = """
static u32 vmx_exec_control(struct vcpu_vmx *vmx)
{
	u32 exec_control = vmcs_config.cpu_based_exec_ctrl;

	exec_control &= ~(CPU_BASED_RDTSC_EXITING | CPU_BASED_USE_IO_BITMAPS);
	if (some_guest_wants(vmx))
		exec_control &= ~CPU_BASED_HLT_EXITING;
	return exec_control;
}

static u32 vmx_secondary_exec_control(struct vcpu_vmx *vmx)
{
	u32 exec_control = vmcs_config.cpu_based_2nd_exec_ctrl;

	if (!enable_ept) {
		exec_control &= ~SECONDARY_EXEC_ENABLE_EPT;
	}
	exec_control &= ~SECONDARY_EXEC_DESC;
	return exec_control;
}

static void at_run_time(struct vcpu_vmx *vmx)
{
	exec_controls_setbit(vmx, CPU_BASED_MOV_DR_EXITING);
	secondary_exec_controls_clearbit(vmx, SECONDARY_EXEC_DESC);
}

static int (*kvm_vmx_exit_handlers[])(struct kvm_vcpu *vcpu) = {
	[EXIT_REASON_HLT] = halt,
};
"""


def write_tree(
    root: Path, lists: Lists = LISTS, *, form: str = "macros", version: tuple[int, int, int] = (6, 1, 7)
) -> Path:
    """Write the files of a tree whose lists are macros or local variables, and give its root."""
    kvm, names = kvm_of(specs()), _names(lists)
    folder = root / "arch/x86/kvm/vmx"
    folder.mkdir(parents=True)
    (root / "arch/x86/include/asm").mkdir(parents=True)
    (root / "arch/x86/include/uapi/asm").mkdir(parents=True)
    numbers = zip(("VERSION", "PATCHLEVEL", "SUBLEVEL"), version, strict=True)
    (root / "Makefile").write_text("".join(f"{name} = {number}\n" for name, number in numbers) + "EXTRAVERSION =\n")
    defines = "".join(f"#define {name}\t0x{1 << bit:08x}\n" for name, bit in names.items())
    (root / "arch/x86/include/asm/vmx.h").write_text(f"#ifndef VMX_H\n{defines}#endif\n")
    (root / "arch/x86/include/uapi/asm/vmx.h").write_text("#define EXIT_REASON_HLT 12\n")
    macros = "".join(_macros(kvm.words[word], *both) for word, both in lists.items()) if form == "macros" else ""
    (folder / "vmx.h").write_text((CHECK if form == "macros" else "") + macros)
    calls = "".join(_call(kvm.words[word], *both, form) for word, both in lists.items())
    stores = f"\t{kvm.store}\n" + "".join(
        f"\tvmcs_conf->{member} = {kvm.words[word].local};\n"
        for word, member in {"primary": "cpu_based_exec_ctrl", "secondary": "cpu_based_2nd_exec_ctrl"}.items()
    )
    pairs = PAIRS if form == "macros" else ""
    config = (
        f"static int setup_vmcs_config(struct vmcs_config *vmcs_conf)\n{{\n{pairs}{calls}\n{stores}\treturn 0;\n}}\n"
    )
    (folder / "vmx.c").write_text(config + AFTERWARDS)
    return root


def _names(lists: Lists) -> dict[str, int]:
    """Every name in the lists with its bit, by the specs."""
    bits = {control.linux: control.bit for control in specs().controls.values() if control.linux}
    return {name: bits[name] for both in lists.values() for names in both for name in names}


def _macros(word: KvmWord, required: Sequence[str], optional: Sequence[str]) -> str:
    return _macro(f"KVM_REQUIRED_VMX_{word.list}", required) + _macro(f"KVM_OPTIONAL_VMX_{word.list}", optional)


def _macro(name: str, items: Sequence[str]) -> str:
    if not items:
        return f"#define {name} 0\n"
    lines = [f"#define {name}", *(f"\t{'(' if n == 0 else ' '}{item} |" for n, item in enumerate(items))]
    lines[-1] = lines[-1].removesuffix(" |") + ")"
    return "".join(_continued(line) + "\n" for line in lines[:-1]) + lines[-1] + "\n"


def _continued(line: str) -> str:
    width = len(line.expandtabs(8))
    return line + "\t" * (-(-(72 - width) // 8)) + "\\"


def _call(word: KvmWord, required: Sequence[str], optional: Sequence[str], form: str) -> str:
    if form == "macros":
        arguments = f"KVM_REQUIRED_VMX_{word.list}, KVM_OPTIONAL_VMX_{word.list}"
        return f"\tif (adjust_vmx_controls({arguments}, {word.msr}, &{word.local}))\n\t\treturn -EIO;\n"
    lists = "".join(
        f"\t{name} = {(' |' + chr(10) + chr(9) + '      ').join(items) or '0'};\n"
        for name, items in (("min", required), ("opt", optional))
    )
    return f"{lists}\tif (adjust_vmx_controls(min, opt, {word.msr}, &{word.local}) < 0)\n\t\treturn -EIO;\n"
