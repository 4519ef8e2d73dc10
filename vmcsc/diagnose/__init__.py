"""Logs of failed VM entries: readers of dumps, and which rules of VM entry a dump violates."""

import sys
from types import ModuleType
from typing import Any


class _Package(ModuleType):
    """`vmcsc.diagnose(...)` diagnoses a log also after this package, whose name hides the function, is imported."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        from vmcsc.diagnose.api import diagnose

        return diagnose(*arguments, **named)


sys.modules[__name__].__class__ = _Package
