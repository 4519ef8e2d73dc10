"""Which texts make up a policy, in which order, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from vmcsc import codes
from vmcsc.architecture.database import Database
from vmcsc.diagnostic import Diagnostics
from vmcsc.policy.files import MAX_TEXTS, PolicyTexts
from vmcsc.source import Source, read_source


def read(path: Path, database: Database, search: Sequence[Path] = ()) -> tuple[list[str], list[str]]:
    """The policies of the chain, and the names of the findings' codes."""
    diagnostics = Diagnostics()
    texts = PolicyTexts(database, diagnostics, search)
    texts.begin(read_source(path))
    names = {code.id: code.name for code in codes.ALL}
    return [policy.name.text for policy in texts.chain], [names[d.code] for d in diagnostics]


def write(folder: Path, name: str, body: str = "", *, header: str = "") -> Path:
    path = folder / f"{name}.vmcs"
    path.write_text(f"policy {name} {header}{{\n{body}\n}}")
    return path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "vmcsc.toml").touch()
    return tmp_path


def test_a_base_takes_effect_before_the_policy_that_extends_it(project: Path, database: Database) -> None:
    write(project, "a")
    write(project, "b", "extends a")
    assert read(write(project, "c", "extends b"), database) == (["a", "b", "c"], [])


def test_bases_take_effect_in_the_order_in_which_they_are_named_each_once(project: Path, database: Database) -> None:
    write(project, "root")
    write(project, "b", "extends root")
    write(project, "a", "extends root")
    write(project, "c")
    top = write(project, "top", "extends b, a\nextends c", header="extends root ")
    assert read(top, database) == (["root", "b", "a", "c", "top"], [])


def test_extends_may_stand_in_the_header_and_in_an_included_fragment(project: Path, database: Database) -> None:
    for name in ("a", "b"):
        write(project, name)
    (project / "part.inc").write_text("extends b")
    assert read(write(project, "top", 'include "part.inc"', header="extends a "), database) == (["a", "b", "top"], [])


def test_a_policy_that_is_not_found_is_reported_and_the_rest_is_read(project: Path, database: Database) -> None:
    write(project, "a")
    assert read(write(project, "top", "extends nothing_like_it, a"), database) == (["a", "top"], ["policy-not-found"])


def test_a_base_with_mistakes_is_read_as_far_as_it_goes(project: Path, database: Database) -> None:
    write(project, "a", "nonsense here\nprimary { require hlt_exiting }")
    assert read(write(project, "top", "extends a"), database) == (["a", "top"], ["unknown-statement"])


def test_a_base_that_cannot_be_read_is_reported_at_the_statement_that_names_it(
    project: Path, database: Database
) -> None:
    (project / "binary.vmcs").write_bytes(b"policy binary { \xff }")
    (project / "folder.vmcs").mkdir()
    (project / "loop.vmcs").symlink_to("loop.vmcs")
    for name in ("binary", "folder", "loop"):
        assert read(write(project, "top", f"extends {name}"), database) == (["top"], ["policy-not-found"])


def test_a_policy_that_extends_itself_alone_is_an_error(project: Path, database: Database) -> None:
    assert len(read(write(project, "alone", "extends alone"), database)[1]) == 1


def test_a_circle_of_policies_is_reported_once(project: Path, database: Database) -> None:
    write(project, "a", "extends b")
    write(project, "b", "extends a")
    assert read(project / "a.vmcs", database)[1] == ["cycle"]


def test_a_policy_without_a_file_extends_what_is_searched_and_shipped_and_includes_nothing(
    project: Path, database: Database
) -> None:
    write(project, "house")
    diagnostics = Diagnostics()
    texts = PolicyTexts(database, diagnostics, [project])
    texts.begin(Source("<text>", 'policy top { extends house, minimal\n include "part.inc" }'))
    assert [policy.name.text for policy in texts.chain] == ["house", "minimal", "top"]
    assert [d.code for d in diagnostics] == [codes.BAD_INCLUDE.id]


@pytest.mark.parametrize("text", ["", "# nothing\n", "primary { require hlt_exiting }", 'summary "s"'])
def test_a_file_without_a_policy_is_reported(text: str, project: Path, database: Database) -> None:
    path = project / "none.vmcs"
    path.write_text(text)
    assert read(path, database) == ([], ["no-policy"])


def test_what_stands_outside_the_policy_is_reported(project: Path, database: Database) -> None:
    path = project / "two.vmcs"
    path.write_text("policy one { }\npolicy two { }\nprimary { require hlt_exiting }")
    assert read(path, database) == (["one"], ["second-policy", "misplaced-statement"])


def test_the_texts_of_a_policy_are_all_kept(project: Path, database: Database) -> None:
    write(project, "a", 'include "part.inc"')
    (project / "part.inc").write_text("tsc_offset = 1")
    texts = PolicyTexts(database, Diagnostics())
    texts.begin(read_source(write(project, "top", "extends a")))
    assert [Path(source.name).name for source in texts.sources] == ["top.vmcs", "a.vmcs", "part.inc"]


@pytest.mark.parametrize("count", [MAX_TEXTS, MAX_TEXTS + 20])
def test_a_policy_is_made_of_a_limited_number_of_files(count: int, project: Path, database: Database) -> None:
    """Two fragments that include each other's successors twice would else be exponentially many."""
    for number in range(count - 1):
        (project / f"{number}.inc").write_text("")
    includes = "\n".join(f'include "{number}.inc"' for number in range(count - 1))
    assert read(write(project, "top", includes), database)[1] == (["bad-include"] if count > MAX_TEXTS else [])


def test_doubling_fragments_end_at_the_limit_too(project: Path, database: Database) -> None:
    for number in range(30):
        (project / f"{number}.inc").write_text(f'include "{number + 1}.inc"\n' * 2)
    (project / "30.inc").write_text("")
    assert read(write(project, "top", 'include "0.inc"'), database)[1] == ["bad-include"]
