"""What is wrong with a file of a folder of specs that speaks of dumps is told, and further texts can be added there."""

from __future__ import annotations

from pathlib import Path

import pytest

import vmcsc
from vmcsc import VmcscError
from vmcsc.architecture.loader import load_specs
from vmcsc.diagnose.verify import check_dumps
from vmcsc.diagnostic import Diagnostics
from vmcsc.resources import SPECS

DUMPS = (SPECS / "kernels" / "dumps.yaml").read_text()
LOG = "*** Guest State ***\nCR3 = 0x0000000000001000\nOurCr3 = 0x1\n"


def overlay(folder: Path, text: str) -> Path:
    (folder / "kernels").mkdir()
    (folder / "kernels" / "dumps.yaml").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("CR3 = <guest_cr3:16>", "CR3 = <guest_cr33:16>", "dumps: nothing is named guest_cr33"),
        ("area: vm_entry_msr_load", "area: vm_entry_msr_lode", "dumps: nothing is named vm_entry_msr_lode"),
        ("wide_shows: intel_64", "wide_shows: intel_46", "dumps: nothing is named intel_46"),
        ("msr=<index:8>", "msr=<number:8>", "dumps: nothing is named number"),
        ("qualified_by: exit_qualification", "qualified_by: exit_quality", "dumps: nothing is named exit_quality"),
        ("means: undumped", "means: unheard", "undumped"),
        ("anchors:", "ankers:", "ankers"),
        ("<descriptor guest_", "<descripter guest_", "descripter"),
    ],
)
def test_mistakes_are_told_and_nothing_breaks(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in DUMPS
    database = load_specs([overlay(tmp_path, DUMPS.replace(old, new))], Diagnostics())
    assert database is not None
    with pytest.raises(VmcscError) as raised:
        vmcsc.diagnose(LOG, database=database)
    assert any(message in one.message for one in raised.value.diagnostics) or message in str(raised.value)


def test_the_shipped_file_is_in_order() -> None:
    database, diagnostics = load_specs([], Diagnostics()), Diagnostics()
    assert database is not None
    check_dumps(database, diagnostics)
    assert list(diagnostics) == []


def test_a_text_of_a_house_is_read_too(tmp_path: Path) -> None:
    piece = '          - "CR3 = <guest_cr3:16>"\n'
    database = load_specs(
        [overlay(tmp_path, DUMPS.replace(piece, f'{piece}          - "OurCr3 = <host_cr3:1>"\n'))], Diagnostics()
    )
    (found,) = vmcsc.diagnose(LOG, database=database)
    assert found.dump.fields["host_cr3"].bits == 1
