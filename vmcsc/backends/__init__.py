"""Back ends. In a checkout they lie in the top-level folder `backends`, which this package then reaches too."""

from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parent.parent.parent / "backends"
if _CHECKOUT.is_dir():
    __path__.append(str(_CHECKOUT))
