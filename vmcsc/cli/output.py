"""Writing a file so that it is either as before or complete, whatever happens meanwhile."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from vmcsc import codes
from vmcsc.diagnostic import Diagnostics


def write_or_report(path: Path, content: bytes, diagnostics: Diagnostics) -> None:
    """As `write_whole`; what prevents it is a finding."""
    try:
        write_whole(path, content)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        diagnostics.report(codes.CANNOT_WRITE, f"{path} cannot be written: {reason}")


def write_whole(path: Path, content: bytes) -> None:
    """Replace the file at `path` by `content`. Raises OSError, and then the file is as it was.

    The content goes to a new file in the same folder, to the disk, and only then to its name. A symbolic link
    stays one: its target is replaced. What is no regular file (a device, a pipe) is written to directly.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        target.write_bytes(content)
        return
    temporary = target.with_name(f".{target.name[:100]}.{os.urandom(8).hex()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        with suppress(FileNotFoundError):
            temporary.chmod(target.stat().st_mode & 0o777)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
