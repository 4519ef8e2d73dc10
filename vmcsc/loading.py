"""The specs of a run: the shipped ones with those of overlay folders, or why they are not in order."""

from __future__ import annotations

from pathlib import Path

from vmcsc.architecture.database import Database
from vmcsc.architecture.loader import load_specs
from vmcsc.cache import Cache
from vmcsc.diagnostic import Diagnostics
from vmcsc.errors import VmcscError
from vmcsc.expression.conditions import check_conditions
from vmcsc.syntax.grammar import keep_grammar


def load(*overlays: str | Path, cache: Cache | None = None) -> Database:
    """The shipped specs with those of the `overlays` folders. Raises `VmcscError` where an overlay is wrong.

    What takes time to make of the specs is kept in `cache`, if one is given, for the next run.
    """
    keep_grammar(cache)
    diagnostics = Diagnostics()
    database = load_specs([Path(overlay) for overlay in overlays], diagnostics, cache=cache)
    if database is not None and overlays:
        _check_conditions(database, diagnostics)
    if database is None or diagnostics.failed:
        raise VmcscError("the specs are not in order", tuple(diagnostics))
    return database


def _check_conditions(database: Database, diagnostics: Diagnostics) -> None:
    """Report the expressions of the specs that mean nothing, unless they are known to be in order."""
    if database.cache is not None and database.cache.get("conditions", database.key):
        return
    check_conditions(database, diagnostics)
    if database.cache is not None and not diagnostics.failed:
        database.cache.put("conditions", database.key, True)
