"""Whether the scenarios of a policy mean something. Those that were found in order before are not bound again."""

from __future__ import annotations

from vmcsc.architecture.database import Database
from vmcsc.cache import digest
from vmcsc.diagnostic import Diagnostics
from vmcsc.policy.model import Policy


def check_scenarios(policy: Policy, database: Database, diagnostics: Diagnostics) -> None:
    """Report what is wrong with the scenarios of `policy`; nothing runs."""
    if not policy.scenarios:
        return
    cache = database.cache if len(database.folders) == 1 else None  # a cache knows the shipped specs alone
    key = "" if cache is None else _key(policy)
    if cache is not None and cache.get("scenarios", key) is True:
        return
    from vmcsc.scenario.bind import bind_scenarios  # reads the instructions

    before = len(diagnostics)
    bind_scenarios(policy, database, diagnostics)
    if cache is not None and len(diagnostics) == before:
        cache.put("scenarios", key, True)


def _key(policy: Policy) -> str:
    """A name for all that binding looks at: the texts, and the parameters that they may set."""
    parameters = [f"{name}:{one.width}" for name, one in sorted(policy.parameters.items())]
    return digest(*(scenario.span.text for scenario in policy.scenarios), *parameters)
