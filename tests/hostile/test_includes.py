"""Policies that reach for what lies outside their project, or for themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hostile.running import Here

# --- out of the project -----------------------------------------------------------------------------------------


@pytest.fixture
def secret(project: Path) -> Path:
    """A fragment beside the project, whose content nobody may come to see."""
    path = project.parent / "secret"
    path.write_text("primary { require swordfish }\n")
    return path


def direct(project: Path, secret: Path) -> str:
    return "../secret"


def through_a_folder(project: Path, secret: Path) -> str:
    (project / "sub").mkdir()
    return "sub/../../secret"


def absolute(project: Path, secret: Path) -> str:
    return str(secret)


def link(project: Path, secret: Path) -> str:
    (project / "inside").symlink_to(secret)
    return "inside"


def linked_folder(project: Path, secret: Path) -> str:
    (project / "inside").symlink_to(secret.parent)
    return "inside/secret"


def chain_of_links(project: Path, secret: Path) -> str:
    (project / "one").symlink_to("two")
    (project / "two").symlink_to("../secret")
    return "one"


@pytest.mark.parametrize("lead_out", [direct, through_a_folder, absolute, link, linked_folder, chain_of_links])
def test_no_path_and_no_link_includes_what_lies_outside_the_project(
    lead_out: Callable[[Path, Path], str], project: Path, secret: Path, here: Here
) -> None:
    (project / "p.vmcs").write_text(f'policy p {{\n  include "{lead_out(project, secret)}"\n}}\n')
    done = here("check", "p.vmcs")
    assert done.code == 1
    assert "cannot be included" in done.text
    assert "swordfish" not in done.text


def test_a_link_within_the_project_includes_its_target(project: Path, here: Here) -> None:
    (project / "sub").mkdir()
    (project / "sub" / "fragment").write_text("primary { require swordfish }\n")
    (project / "link").symlink_to("sub/fragment")
    (project / "p.vmcs").write_text('policy p {\n  include "link"\n}\n')
    assert "swordfish" in here("check", "p.vmcs").text


def test_a_policy_behind_a_link_is_bounded_by_the_project_that_it_lies_in(
    project: Path, secret: Path, here: Here
) -> None:
    (project / "p.vmcs").write_text('policy p {\n  include "../secret"\n}\n')
    (project.parent / "entry.vmcs").symlink_to(project / "p.vmcs")
    done = here("check", "../entry.vmcs")
    assert done.code == 1
    assert "swordfish" not in done.text


# --- circles ----------------------------------------------------------------------------------------------------


def test_files_that_include_each_other_in_a_circle_are_refused_once(project: Path, here: Here) -> None:
    (project / "p.vmcs").write_text('policy p {\n  include "a"\n}\n')
    for name, following in ("a", "b"), ("b", "c"), ("c", "a"):
        (project / name).write_text(f'include "{following}"\n')
    done = here("check", "p.vmcs")
    assert done.code == 1
    assert done.text.count("error[") == 1
    assert "files include each other in a circle: a -> b -> c -> a" in done.text


def test_a_circle_is_seen_through_links_and_other_ways_to_write_a_path(project: Path, here: Here) -> None:
    (project / "sub").mkdir()
    (project / "p.vmcs").write_text('policy p {\n  include "a"\n}\n')
    (project / "a").write_text('include "sub/../b"\n')
    (project / "b").symlink_to("a")
    done = here("check", "p.vmcs")
    assert done.code == 1
    assert done.text.count("error[") == 1
    assert "in a circle" in done.text


def test_a_tree_of_includes_that_doubles_at_each_step_is_cut_off(project: Path, here: Here) -> None:
    (project / "p.vmcs").write_text('policy p {\n  include "f0"\n}\n')
    for number in range(40):
        (project / f"f{number}").write_text(f'include "f{number + 1}"\ninclude "f{number + 1}"\n')
    (project / "f40").write_text("primary { prefer hlt_exiting }\n")
    done = here("check", "p.vmcs")
    assert done.code == 1
    assert "a policy may be made of at most 64 files" in done.text


def test_policies_that_extend_each_other_in_a_circle_are_refused(project: Path, here: Here) -> None:
    for name, parent in ("a", "b"), ("b", "c"), ("c", "a"):
        (project / f"{name}.vmcs").write_text(f"policy {name} extends {parent} {{\n}}\n")
    done = here("check", "a.vmcs")
    assert done.code == 1
    assert "policies extend each other in a circle" in done.text


def test_a_folder_of_specs_that_holds_itself_is_read_once(project: Path, here: Here) -> None:
    (project / "specs" / "sub").mkdir(parents=True)
    (project / "specs" / "sub" / "again").symlink_to("..")
    assert here("check", "p.vmcs", "--specs", "specs").code == 0
