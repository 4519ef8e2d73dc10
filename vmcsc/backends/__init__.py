"""Back ends. In a checkout they lie in the top-level folder `backends`, which this package then reaches too."""

import sys
from pathlib import Path
from types import ModuleType

_CHECKOUT = Path(__file__).resolve().parent.parent.parent / "backends"
if _CHECKOUT.is_dir():
    __path__.append(str(_CHECKOUT))


class _Package(ModuleType):
    """`vmcsc.backends()` lists the back ends also after this package, whose name hides the function, is imported."""

    def __call__(self) -> list[str]:
        from vmcsc.backend import backends

        return backends()


sys.modules[__name__].__class__ = _Package
