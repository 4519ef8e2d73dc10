"""Bochs for the tests, or the reason why they are skipped."""

from __future__ import annotations

import pytest

from tests.conftest import skip_or_fail
from vmcsc.bochs.tools import Tools, find_tools
from vmcsc.errors import VmcscError


@pytest.fixture(scope="session")
def tools() -> Tools:
    try:
        return find_tools()
    except VmcscError as error:
        skip_or_fail(str(error))
