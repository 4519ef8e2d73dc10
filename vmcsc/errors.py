"""What the library raises: wrong use, never a user's mistake in a policy."""

from __future__ import annotations

from vmcsc.diagnostic import Diagnostic


class VmcscError(Exception):
    """The call cannot be carried out. `diagnostics` say more where there is more to say."""

    def __init__(self, message: str, diagnostics: tuple[Diagnostic, ...] = ()) -> None:
        super().__init__(message)
        self.diagnostics = diagnostics
