"""What docs/bochs.md shows of the command and of the judged differences is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.conftest import skip_or_fail
from vmcsc.bochs.tools import find_tools
from vmcsc.cli import main
from vmcsc.errors import VmcscError

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "bochs.md").read_text()
PACKAGES = re.findall(r"^apt-get install (.*)$", PAGE, re.MULTILINE)


def test_the_command_prints_what_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        find_tools()
    except VmcscError as error:
        skip_or_fail(str(error))
    (command, shown) = re.findall(r"^\$ vmcsc (.*?)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[0]
    assert main(command.split()) == 0
    assert shown.replace("  ...\n", "") in capsys.readouterr().out


def test_the_judged_difference_that_is_shown_is_in_the_file() -> None:
    (block,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    shown = yaml.safe_load(block)
    judged = yaml.safe_load((ROOT / "tests" / "bochs" / "judged.yaml").read_text())["judged"]
    assert shown[0] in judged


def test_every_file_and_command_that_is_named_is_there() -> None:
    for path in re.findall(r"`(?:python )?((?:tests|vmcsc)/[\w./]+?)(?:`| )", PAGE):
        assert (ROOT / path).exists(), path


def test_the_packages_are_those_that_the_test_command_installs() -> None:
    (packages,) = PACKAGES
    script = (ROOT / "tests" / "run.sh").read_text()
    for package in packages.split():
        assert package in script or package == "binutils", package
