"""Where a source lies, as other programs want it: relative to the project, with slashes."""

from __future__ import annotations

import os
from pathlib import Path

from vmcsc.source import Source


def relative_path(source: Source, root: Path | None) -> str | None:
    """The path of `source` seen from `root`, or None where it is no file below that folder.

    Without a `root` a relative path stays as it is written. Symbolic links are not followed, so that a path
    does not depend on where a checkout lies.
    """
    if source.path is None:
        return None
    path = Path(os.path.normpath(source.path))
    if root is not None:
        path = Path(os.path.relpath(os.path.abspath(path), os.path.abspath(root)))  # noqa: PTH100 (links stay)
    return None if path.is_absolute() or path.parts[:1] == (os.pardir,) else path.as_posix()
