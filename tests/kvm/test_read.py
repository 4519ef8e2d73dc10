"""What KVM asks for is read from a tree in whichever form it has it, and from nothing else."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kvm.mini import LISTS, write_tree
from vmcsc.architecture.database import Database
from vmcsc.diagnostic import Diagnostics
from vmcsc.kvm.names import Names, UnknownName
from vmcsc.kvm.read import FIXED, LOCALS, MACROS
from vmcsc.kvm.sources import Macro
from vmcsc.kvm.tree import Tree, read_tree

VMX_C, VMX_H, NAMES = "arch/x86/kvm/vmx/vmx.c", "arch/x86/kvm/vmx/vmx.h", "arch/x86/include/asm/vmx.h"


def tree_of(root: Path, database: Database) -> Tree:
    diagnostics = Diagnostics()
    tree = read_tree(root, database, diagnostics)
    assert tree is not None, [one.message for one in diagnostics]
    return tree


def refused(root: Path, database: Database) -> str:
    """The only finding about a tree that is not read."""
    diagnostics = Diagnostics()
    assert read_tree(root, database, diagnostics) is None
    (finding,) = diagnostics
    assert finding.code == "VMX7010"
    return finding.message


def edit(root: Path, path: str, old: str, new: str) -> None:
    text = (root / path).read_text()
    assert old in text
    (root / path).write_text(text.replace(old, new))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "linux")


@pytest.mark.parametrize(("form", "said"), [("macros", MACROS), ("locals", LOCALS)])
def test_the_form_is_told_by_content_and_the_lists_are_the_same(
    form: str, said: str, tmp_path: Path, database: Database
) -> None:
    tree = tree_of(write_tree(tmp_path / "linux", form=form), database)
    assert (tree.form, tree.version) == (said, "6.1.7")
    for word, (required, optional) in LISTS.items():
        controls = {control.linux: control.mask for control in database.words[word].controls}
        assert tree.required(word) == sum(controls[name] for name in required)
        assert tree.optional(word) == sum(controls[name] for name in optional)


def test_fixed_bits_of_the_first_kernels_are_used_where_the_processor_has_them(
    tmp_path: Path, database: Database
) -> None:
    root = tmp_path / "linux"
    (root / "drivers/kvm").mkdir(parents=True)
    (root / "drivers/kvm/vmx.h").write_text("#define PIN_BASED_NMI_EXITING 0x8\n")
    (root / "drivers/kvm/vmx.c").write_text(
        "#ifdef CONFIG_X86_64\n#define HOST_IS_64 1\n#else\n#define HOST_IS_64 0\n#endif\n"
        "static int vmx_vcpu_setup(struct kvm_vcpu *vcpu)\n{\n"
        "\tvmcs_write32_fixedbits(MSR_IA32_VMX_PINBASED_CTLS, PIN_FIELD,\n\t\tPIN_BASED_NMI_EXITING /* NMI */);\n"
        "\tvmcs_write32_fixedbits(MSR_IA32_VMX_EXIT_CTLS, EXIT_FIELD, (HOST_IS_64 << 9) | 4);\n}\n"
    )
    tree = tree_of(root, database)
    assert (tree.form, tree.patchable) == (FIXED, False)
    assert {word: lists.optional for word, lists in tree.words.items()} == {"pin_based": 0x8, "vm_exit": 0x204}


def test_names_are_what_the_headers_of_the_tree_say_and_not_what_the_specs_say(root: Path, database: Database) -> None:
    edit(root, NAMES, "#define SECONDARY_EXEC_DESC\t0x00000004", "#define SECONDARY_EXEC_DESC (1UL << (2 + 1))")
    assert tree_of(root, database).optional("secondary") & 0xC == 0x8


def test_what_is_compiled_for_32_bits_and_what_is_a_comment_do_not_count(root: Path, database: Database) -> None:
    before = tree_of(root, database).required("vm_entry")
    edit(
        root, VMX_H, "#define KVM_REQUIRED_VMX_VM_ENTRY_CONTROLS",
        "#ifndef CONFIG_X86_64\n#define KVM_REQUIRED_VMX_VM_ENTRY_CONTROLS 0\n#else\n"
        "#define KVM_REQUIRED_VMX_VM_ENTRY_CONTROLS /* VM_ENTRY_LOAD_IA32_PAT | */",
    )  # fmt: skip
    edit(root, VMX_H, "#define KVM_OPTIONAL_VMX_VM_ENTRY", "#endif\n#define KVM_OPTIONAL_VMX_VM_ENTRY")
    assert tree_of(root, database).required("vm_entry") == before


def test_a_list_may_be_another_one_and_more(root: Path, database: Database) -> None:
    before = tree_of(root, database).required("pin_based")
    inner = "#define __LIST (PIN_BASED_EXT_INTR_MASK | PIN_BASED_NMI_EXITING)\n"
    edit(root, VMX_H, "#define KVM_REQUIRED_VMX_PIN", inner + "#define KVM_REQUIRED_VMX_PIN")
    text = (root / VMX_H).read_text()
    start = text.index("#define KVM_REQUIRED_VMX_PIN")
    end = text.index("#define KVM_OPTIONAL_VMX_PIN")
    outer = "#define KVM_REQUIRED_VMX_PIN_BASED_VM_EXEC_CONTROL (__LIST | PIN_BASED_VIRTUAL_NMIS)\n"
    (root / VMX_H).write_text(text[:start] + outer + text[end:])
    assert tree_of(root, database).required("pin_based") == before | 0x20


def test_what_a_vcpu_and_the_code_around_make_of_it_is_read_too(root: Path, database: Database) -> None:
    tree = tree_of(root, database)
    controls = database.words["primary"].by_name
    assert tree.behaviour.always_cleared("primary") == controls["rdtsc_exiting"].mask | controls["use_io_bitmaps"].mask
    assert tree.behaviour.conditions("primary", controls["hlt_exiting"].bit, sets=False) == ["some_guest_wants(vmx)"]
    assert tree.behaviour.is_toggled("primary", controls["mov_dr_exiting"].bit)
    assert tree.behaviour.handled == {12}
    assert tree.checked


def _without_the_function(root: Path) -> None:
    edit(root, VMX_C, "setup_vmcs_config", "prepare_vmcs_config")


def _without_calls(root: Path) -> None:
    edit(root, VMX_C, "adjust_vmx_controls", "settle_vmx_controls")


def _other_arguments(root: Path) -> None:
    edit(root, VMX_C, ", &_vmexit_control)", ", &_vmexit_control, 1)")


def _another_msr(root: Path) -> None:
    edit(root, VMX_C, "MSR_IA32_VMX_EXIT_CTLS", "MSR_IA32_VMX_TRUE_EXIT_CTLS")


def _half_a_patch(root: Path) -> None:
    edit(root, NAMES, "#define SECONDARY_EXEC_DESC\t0x00000004\n", "")


def _no_list(root: Path) -> None:
    edit(root, VMX_H, "(VM_EXIT_LOAD_IA32_PAT)", "(enabled ? VM_EXIT_LOAD_IA32_PAT : 0)")


def _defined_twice(root: Path) -> None:
    begin = "#define KVM_OPTIONAL_VMX_PIN"
    edit(root, VMX_H, begin, f"{begin}_BASED_VM_EXEC_CONTROL 0\n{begin}")


def _both_forms(root: Path) -> None:
    edit(
        root,
        VMX_C,
        "adjust_vmx_controls(KVM_REQUIRED_VMX_VM_EXIT_CONTROLS,",
        "min = 0;\n\tif (adjust_vmx_controls(min,",
    )


def _lists_are_gone(root: Path) -> None:
    (root / VMX_H).write_text("")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_without_the_function, "neither a function setup_vmcs_config nor calls of vmcs_write32_fixedbits"),
        (_without_calls, "has no calls of adjust_vmx_controls"),
        (_other_arguments, "a call of adjust_vmx_controls in arch/x86/kvm/vmx/vmx.c has 5 arguments"),
        (_another_msr, "adjusts controls by MSR_IA32_VMX_TRUE_EXIT_CTLS, which is not known"),
        (_half_a_patch, "names SECONDARY_EXEC_DESC, and the headers of the tree give no value to SECONDARY_EXEC_DESC"),
        (_no_list, "KVM_OPTIONAL_VMX_VM_EXIT_CONTROLS is not a list of names"),
        (_defined_twice, "KVM_OPTIONAL_VMX_PIN_BASED_VM_EXEC_CONTROL is defined more than once"),
        (_both_forms, "takes lists from macros and from local variables at once"),
        (_lists_are_gone, "arch/x86/kvm/vmx/vmx.h does not define KVM_REQUIRED_VMX_CPU_BASED_VM_EXEC_CONTROL"),
    ],
)
def test_a_form_that_is_not_known_is_never_guessed(
    spoil: Callable[[Path], None], said: str, root: Path, database: Database
) -> None:
    spoil(root)
    assert said in refused(root, database)


def test_a_folder_that_is_no_kernel_is_told_what_was_looked_for(tmp_path: Path, database: Database) -> None:
    assert "it has none of arch/x86/kvm/vmx/vmx.c, arch/x86/kvm/vmx.c" in refused(tmp_path, database)
    assert "is not a folder" in refused(tmp_path / "nowhere", database)


def test_a_tree_with_cr_lf_is_refused(root: Path, database: Database) -> None:
    (root / VMX_H).write_bytes((root / VMX_H).read_bytes().replace(b"\n", b"\r\n"))
    assert "its lines end in CR LF" in refused(root, database)


def test_links_lead_nowhere_out_of_the_tree(root: Path, tmp_path: Path, database: Database) -> None:
    (tmp_path / "secret.h").write_text((root / VMX_H).read_text())
    (root / VMX_H).unlink()
    (root / VMX_H).symlink_to(tmp_path / "secret.h")
    assert "it is a link that leads out of the tree" in refused(root, database)
    (root / VMX_H).unlink()
    (root / "own.h").write_text((tmp_path / "secret.h").read_text())
    (root / VMX_H).symlink_to(root / "own.h")
    assert tree_of(root, database).required("pin_based") == 0x9


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"\xff\xfe", "it is not valid UTF-8"), (b"x" * (1 << 21), "it is larger than"), (b"a\0b", "control character")],
)
def test_a_file_that_is_no_source_text_is_refused(content: bytes, said: str, root: Path, database: Database) -> None:
    (root / VMX_H).write_bytes(content)
    assert said in refused(root, database)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000 + "1" + ")" * 5000,
        " | ".join(["1"] * 5000),
        "1 << (1 << (1 << 1000000))",
        "__import__('os').system('true')",
        "[].__class__",
        "(lambda: 1)()",
    ],
)
def test_macros_are_evaluated_and_never_run(text: str, root: Path, database: Database) -> None:
    edit(root, NAMES, "#define SECONDARY_EXEC_DESC\t0x00000004", f"#define SECONDARY_EXEC_DESC {text}")
    diagnostics = Diagnostics()
    read_tree(root, database, diagnostics)
    assert all(one.code == "VMX7010" for one in diagnostics)


def test_macros_that_call_each_other_twice_do_not_take_for_ever() -> None:
    """Each of 18 uses the next one twice, which would be a quarter of a million steps."""
    macros = {f"F{n}": Macro(("x",), f"F{n + 1}(x) | F{n + 1}(x)", 0, 0, 0) for n in range(18)}
    names = Names({**macros, "F18": Macro(("x",), "(x)", 0, 0, 0)})
    with pytest.raises(UnknownName):
        names.value("F0(1)")


def test_macros_that_name_each_other_end(root: Path, database: Database) -> None:
    edit(
        root,
        NAMES,
        "#define SECONDARY_EXEC_DESC\t0x00000004",
        "#define SECONDARY_EXEC_DESC A\n#define A SECONDARY_EXEC_DESC",
    )
    assert "SECONDARY_EXEC_DESC" in refused(root, database)


def test_a_tree_is_only_read(root: Path, database: Database) -> None:
    def state() -> dict[str, str]:
        files = [path for path in root.rglob("*") if path.is_file()]
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    before = state()
    for folder, _, _ in os.walk(root):
        Path(folder).chmod(0o555)
    tree_of(root, database)
    for folder, _, _ in os.walk(root):
        Path(folder).chmod(0o755)
    assert state() == before
