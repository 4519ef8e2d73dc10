"""What the design says of `extends`, `override` and `include`, a test for each sentence."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

from tests.processors import (
    ALL,
    EPT,
    HLT,
    MWAIT,
    RDTSC,
    TSC_OFFSETTING,
    VPID,
    finding,
    found,
    only,
    place,
    processor,
    resolved,
    without,
)
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import Cpu
from vmcsc.pipeline import compile
from vmcsc.result import Result

# --- extends, override -----------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty project: a folder with the mark of one, which holds `policies`."""
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "policies").mkdir()
    return tmp_path


def write(folder: Path, name: str, body: str) -> Path:
    path = folder / f"{name}.vmcs"
    path.write_text(f"policy {path.stem} {{\n{body}\n}}")
    return path


def derived(project: Path, base: str, own: str, database: Database, cpu: Cpu | None = None) -> Result:
    write(project, "base", base)
    return compile(write(project, "ours", f"extends base\n{own}"), cpu or processor(), database)


def test_extends_composes(project: Path, database: Database) -> None:
    base = """
      summary "of the base"; for cpus conroe_core2_x6800; param size : u8 = 7
      primary { require hlt_exiting }; exceptions { intercept machine_check }; tsc_offset = 1
      scenario "s" { guest hlt }
    """
    own = "primary { require mwait_exiting }\nexceptions { intercept debug }\nguest_rip = u64(size)"
    result = derived(project, base, own, database)
    assert result.policy is not None
    assert result.vmcs is not None
    assert resolved(result, "primary").required == HLT | MWAIT
    fields = {name: item.value.bits for name, item in result.vmcs.fields.items()}
    assert (fields["exception_bitmap"], fields["tsc_offset"], fields["guest_rip"]) == (1 << 18 | 1 << 1, 1, 7)
    assert (result.policy.summary, [scenario.title for scenario in result.policy.scenarios]) == ("of the base", ["s"])
    assert [name.text for name in result.policy.cpus] == ["conroe_core2_x6800"]


@pytest.mark.parametrize(("weak", "strong"), [("prefer", "require"), ("avoid", "forbid")])
def test_strengthening_is_free(weak: str, strong: str, project: Path, database: Database) -> None:
    base, own = (f"primary {{ {verb} hlt_exiting }}" for verb in (weak, strong))
    result = derived(project, base, own, database)
    assert (result.ok, found(result)) == (True, [])
    unable = processor(procbased_ctls=without(HLT) if strong == "require" else ALL << 32 | HLT)
    assert not derived(project, base, own, database, unable).ok


@pytest.mark.parametrize(("strong", "weak"), [("require", "prefer"), ("forbid", "avoid")])
def test_weakening_has_no_effect_and_a_warning_says_so(
    strong: str, weak: str, project: Path, database: Database
) -> None:
    base, own = (f"primary {{ {verb} hlt_exiting }}" for verb in (strong, weak))
    assert found(derived(project, base, own, database)) == ["weaker-than-inherited"]
    unable = processor(procbased_ctls=without(HLT) if strong == "require" else ALL << 32 | HLT)
    assert not derived(project, base, own, database, unable).ok


OPPOSITE = [
    ("require", "forbid"),
    ("require", "avoid"),
    ("prefer", "forbid"),
    ("prefer", "avoid"),
    ("forbid", "require"),
    ("forbid", "prefer"),
    ("avoid", "require"),
    ("avoid", "prefer"),
    ("allow", "forbid"),
    ("forbid", "allow"),
]


@pytest.mark.parametrize(("inherited", "own"), OPPOSITE)
def test_the_opposite_polarity_needs_override(inherited: str, own: str, project: Path, database: Database) -> None:
    base = f"primary {{ {inherited} hlt_exiting }}"
    result = derived(project, base, f"primary {{ {own} hlt_exiting }}", database)
    assert found(result) == ["needs-override"]
    assert finding(result).labels[0].span.source.name.endswith("base.vmcs")
    assert finding(result).help == f"write `override {own} hlt_exiting`"
    result = derived(project, base, f"primary {{ override {own} hlt_exiting }}", database)
    assert (result.ok, found(result)) == (True, [])
    assert resolved(result, "primary").value.bits & HLT == (HLT if own in ("require", "prefer") else 0)


def test_override_replaces_everything_inherited_about_that_control_and_nothing_else(
    project: Path, database: Database
) -> None:
    base = "primary { prefer hlt_exiting, mwait_exiting; allow hlt_exiting; require hlt_exiting }"
    word = resolved(derived(project, base, "primary { override avoid hlt_exiting }", database), "primary")
    assert (word.required, word.preferred, word.allowed, word.avoided) == (0, MWAIT, 0, HLT)


def test_override_replaces_what_is_inherited_from_several_policies(project: Path, database: Database) -> None:
    write(project, "lowest", "primary { require hlt_exiting }")
    base = "extends lowest\nprimary { allow hlt_exiting }"
    word = resolved(derived(project, base, "primary { override forbid hlt_exiting }", database), "primary")
    assert (word.required, word.allowed, word.forbidden) == (0, 0, HLT)


def test_override_under_a_condition_replaces_only_where_the_condition_holds(project: Path, database: Database) -> None:
    base = "primary { require hlt_exiting }\nexceptions { intercept debug }\ntsc_offset = 1"
    own = """
      when supported(enable_ept) {
        primary { override forbid hlt_exiting }
        override exceptions { intercept machine_check }
        override tsc_offset = 2
      }
    """
    for control, (bit, exceptions, offset) in {EPT: (0, 1 << 18, 2), VPID: (HLT, 1 << 1, 1)}.items():
        result = derived(project, base, own, database, processor(procbased_ctls2=only(control)))
        assert result.ok, [d.message for d in result.diagnostics]
        assert result.vmcs is not None
        fields = result.vmcs.fields
        assert resolved(result, "primary").value.bits & HLT == bit
        assert (fields["exception_bitmap"].value.bits, fields["tsc_offset"].value.bits) == (exceptions, offset)


def test_override_of_a_bitmap_begins_with_nothing_and_without_it_the_later_statement_wins(
    project: Path, database: Database
) -> None:
    base = "primary { require use_io_bitmaps }\nio { intercept all }"
    for own, byte in (("io { pass 0x10 }", 0xFE), ("override io { intercept 0x11 }", 0x02)):
        result = derived(project, base, own, database)
        assert result.vmcs is not None
        assert result.vmcs.pages["io_bitmap_a"][2] == byte


def test_a_policy_may_extend_another_one_of_its_own_name(project: Path, database: Database) -> None:
    """A house's own kvm_classic stands on the shipped one, and overrides it like any other."""
    path = project / "kvm_classic.vmcs"
    path.write_text("policy kvm_classic {\nextends kvm_classic\nprimary { override require rdtsc_exiting }\n}")
    result = compile(path, "ice_lake_i7_1065g7", database)
    assert result.ok, [d.message for d in result.diagnostics]
    assert resolved(result, "primary").value.bits & (RDTSC | TSC_OFFSETTING) == RDTSC | TSC_OFFSETTING


def test_extends_looks_beside_the_file_then_in_search_paths_then_among_the_shipped_ones(
    tmp_path: Path, database: Database
) -> None:
    beside, search = tmp_path / "beside", tmp_path / "search"
    beside.mkdir()
    search.mkdir()
    ours = write(beside, "ours", "extends minimal")
    write(beside, "minimal", "tsc_offset = 1")
    write(search, "minimal", "tsc_offset = 2")

    def offset() -> int | None:
        result = compile(ours, processor(), database, search=[search])
        assert result.vmcs is not None
        item = result.vmcs.fields.get("tsc_offset")
        return None if item is None else item.value.bits

    assert offset() == 1
    (beside / "minimal.vmcs").unlink()
    assert offset() == 2
    (search / "minimal.vmcs").unlink()
    assert offset() is None  # the shipped one sets no offset, and requires this
    assert resolved(compile(ours, processor(), database), "vm_exit").required == 1 << 9


def test_a_dash_or_dot_in_a_files_name_counts_as_an_underscore(project: Path, database: Database) -> None:
    (project / "house-rules.2.vmcs").write_text("policy house_rules_2 { tsc_offset = 3 }")
    result = compile(write(project, "ours", "extends house_rules_2"), processor(), database)
    assert result.vmcs is not None
    assert result.vmcs.fields["tsc_offset"].value.bits == 3


def test_policies_that_extend_each_other_in_a_circle_are_an_error(project: Path, database: Database) -> None:
    write(project, "one", "extends two")
    write(project, "two", "extends three")
    write(project, "three", "extends one")
    result = compile(project / "one.vmcs", database=database)
    assert found(result) == ["cycle"]
    assert "one.vmcs -> two.vmcs -> three.vmcs -> one.vmcs" in finding(result).message


def test_for_cpus_of_a_policy_takes_the_place_of_the_inherited_one(project: Path, database: Database) -> None:
    write(project, "base", "for cpus conroe_core2_x6800")
    result = compile(write(project, "ours", "extends base\nfor cpus ice_lake_i7_1065g7"), database=database)
    assert list(result.by_cpu) == ["ice_lake_i7_1065g7"]


# --- include ---------------------------------------------------------------------------------------------------

FRAGMENT = "primary { require hlt_exiting }\n"


def including(project: Path, path: str, database: Database) -> Result:
    return compile(write(project / "policies", "ours", f'include "{path}"'), processor(), database)


def test_include_takes_a_regular_file_beside_below_or_above_inside_the_project(
    project: Path, database: Database
) -> None:
    (project / "policies" / "parts").mkdir()
    for path in ("part.inc", "parts/part.inc", "../part.inc", "parts/../part.inc"):
        (project / "policies" / path).write_text(FRAGMENT)
        result = including(project, path, database)
        assert (found(result), resolved(result, "primary").required) == ([], HLT)


def test_an_included_file_includes_relative_to_itself(project: Path, database: Database) -> None:
    (project / "common").mkdir()
    (project / "common" / "a.inc").write_text('include "b.inc"')
    (project / "common" / "b.inc").write_text(FRAGMENT)
    assert resolved(including(project, "../common/a.inc", database), "primary").required == HLT


def test_a_fragment_is_a_part_of_the_policy_that_includes_it(project: Path, database: Database) -> None:
    """It needs `override` against what the policy inherits, and contradicts the policy's own statements."""
    (project / "part.inc").write_text("primary { forbid hlt_exiting }")
    write(project, "base", "primary { require hlt_exiting }")
    inherited = compile(write(project, "ours", 'extends base\ninclude "part.inc"'), processor(), database)
    own = compile(write(project, "ours", 'include "part.inc"\nprimary { require hlt_exiting }'), processor(), database)
    assert (found(inherited), found(own)) == (["needs-override"], ["conflicting-stances"])


def test_include_refuses_an_absolute_path(project: Path, database: Database) -> None:
    (project / "policies" / "part.inc").write_text(FRAGMENT)
    for path in (str(project / "policies" / "part.inc"), "/dev/zero", "/etc/hostname"):
        assert found(including(project, path, database)) == ["bad-include"]


def test_include_does_not_leave_the_project(project: Path, tmp_path: Path, database: Database) -> None:
    outer = tmp_path / "outer"
    shutil.copytree(project, outer / "inner")
    (outer / "secret.inc").write_text(FRAGMENT)
    for path in ("../../secret.inc", "../../inner/../secret.inc", "../../../../../../../etc/hostname"):
        result = including(outer / "inner", path, database)
        assert found(result) == ["bad-include"]
        assert "outside the project" in finding(result).message


def test_a_project_without_a_mark_is_the_folder_of_the_file(tmp_path: Path, database: Database) -> None:
    if any((folder / ".git").exists() for folder in tmp_path.parents):
        pytest.skip("the temporary folder lies inside a project")
    (tmp_path / "policies").mkdir()
    (tmp_path / "part.inc").write_text(FRAGMENT)
    (tmp_path / "policies" / "part.inc").write_text(FRAGMENT)
    assert including(tmp_path, "part.inc", database).ok
    assert found(including(tmp_path, "../part.inc", database)) == ["bad-include"]


def test_include_follows_links_before_it_judges_where_a_file_lies(
    project: Path, tmp_path_factory: pytest.TempPathFactory, database: Database
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "part.inc").write_text(FRAGMENT)
    (project / "real.inc").write_text(FRAGMENT)
    policies = project / "policies"
    links: dict[str, str | Path] = {
        "inside.inc": "../real.inc",
        "outside.inc": elsewhere / "part.inc",
        "zero.inc": "/dev/zero",
    }
    links |= {"dangling.inc": "nothing.inc", "circle.inc": "circle.inc", "away": elsewhere}
    for name, target in links.items():
        (policies / name).symlink_to(target)
    assert including(project, "inside.inc", database).ok
    for name in ("outside.inc", "zero.inc", "dangling.inc", "circle.inc", "away/part.inc"):
        assert found(including(project, name, database)) == ["bad-include"], name


def test_include_takes_regular_files_only(project: Path, database: Database) -> None:
    """A FIFO would never end, a socket and a folder hold no text."""
    policies = project / "policies"
    os.mkfifo(policies / "fifo.inc")
    (policies / "folder.inc").mkdir()
    previous = Path.cwd()
    with socket.socket(socket.AF_UNIX) as unix:
        os.chdir(policies)  # a socket's path may not be long
        try:
            unix.bind("socket.inc")
        finally:
            os.chdir(previous)
        for name in ("fifo.inc", "folder.inc", "socket.inc", "missing.inc", "x" * 300 + ".inc"):
            result = including(project, name, database)
            assert found(result) == ["bad-include"], name
            assert place(finding(result)).startswith("include")


def test_files_that_include_each_other_in_a_circle_are_an_error(project: Path, database: Database) -> None:
    policies = project / "policies"
    (policies / "a.inc").write_text('include "b.inc"')
    (policies / "b.inc").write_text('include "../policies/a.inc"')
    assert found(including(project, "a.inc", database)) == ["cycle"]
    (policies / "self.inc").write_text('include "self.inc"')
    assert found(including(project, "self.inc", database)) == ["cycle"]


def test_an_included_file_may_not_hold_a_policy(project: Path, database: Database) -> None:
    (project / "policies" / "part.inc").write_text("policy other { primary { require hlt_exiting } }")
    assert found(including(project, "part.inc", database)) == ["bad-include"]
