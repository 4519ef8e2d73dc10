"""What the environment says about the output, and writing to it."""

from __future__ import annotations

import os
from typing import TextIO

from vmcsc.report.cells import visible_lines


def use_color(choice: str, stream: TextIO | None) -> bool:
    """Whether to colour `stream`: the option decides, else FORCE_COLOR, else NO_COLOR, else the terminal."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("FORCE_COLOR"):
        return True
    if os.environ.get("NO_COLOR"):
        return False
    return is_terminal(stream) and os.environ.get("TERM") != "dumb"


def columns(stream: TextIO | None) -> int | None:
    """The width of the terminal that `stream` is, None where it is none: there nothing is wrapped."""
    if not is_terminal(stream):
        return None
    import shutil  # this loads three libraries of compression

    return max(40, shutil.get_terminal_size().columns)


def is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()


def put(text: str, stream: TextIO | None) -> None:
    """Write `text`; what the stream's encoding lacks is escaped. A stream that is closed takes nothing."""
    if stream is None:
        return
    try:
        stream.write(text)
    except UnicodeEncodeError:
        stream.write(text.encode(stream.encoding, "backslashreplace").decode(stream.encoding))


def put_exactly(text: str, stream: TextIO | None) -> None:
    """Write `text` as UTF-8 whatever the stream's encoding is; a terminal gets what could command it escaped."""
    binary = getattr(stream, "buffer", None)
    if stream is None or binary is None or is_terminal(stream):
        put(visible_lines(text) if is_terminal(stream) else text, stream)
        return
    stream.flush()
    binary.write(text.encode("utf-8", "backslashreplace"))
    binary.flush()
