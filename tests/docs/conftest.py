"""The command line, as tests of commands have it."""

from tests.cli.conftest import vmcsc

__all__ = ["vmcsc"]
