"""The rules of VM entry run over a VMCS: what passes, what is violated, what cannot be decided, and what follows."""

import sys
from types import ModuleType
from typing import Any


class _Package(ModuleType):
    """`vmcsc.check(...)` checks a VMCS also after this package, whose name hides the function, is imported."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        from vmcsc.check.api import check

        return check(*arguments, **named)


sys.modules[__name__].__class__ = _Package
