"""`vmcsc fmt`: bring policies into the canonical layout."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from vmcsc import codes
from vmcsc.cli.findings import counted, exit_code, print_findings, summary
from vmcsc.cli.output import write_whole
from vmcsc.cli.parser import Parser, add_color, add_format
from vmcsc.cli.policies import SUFFIX
from vmcsc.cli.standard_input import read_standard_input
from vmcsc.cli.terminal import put, put_exactly, use_color
from vmcsc.diagnostic import Diagnostics
from vmcsc.records import dataclass
from vmcsc.report import FORMATS
from vmcsc.report.cells import visible
from vmcsc.source import Source, UnreadableText, read_source
from vmcsc.syntax.format import format_source


@dataclass(frozen=True, slots=True)
class _Formatted:
    """A file, or standard input if the source has no path, and its text in canonical layout."""

    source: Source
    text: str

    @property
    def changes(self) -> bool:
        return self.text != self.source.text


def run(argv: Sequence[str]) -> int:
    parse = parser()
    arguments = parse.parse_intermixed_args(argv)
    if arguments.stdin_filename is not None and "-" not in arguments.paths:
        parse.error("--stdin-filename names standard input, which is read where a path is -")
    diagnostics = Diagnostics()
    formatted = list(_formatted(arguments.paths, arguments.stdin_filename or "<stdin>", diagnostics))
    looks_only = arguments.check or arguments.diff
    color = use_color(arguments.color, sys.stdout)
    for one in formatted:
        if not looks_only:
            _write(one, diagnostics)
        elif one.changes:
            _show(one, arguments.check, arguments.diff, color)
    print_findings(
        diagnostics.found,
        sys.stderr,
        format=arguments.format,
        color=arguments.color,
        suppressed=diagnostics.suppressed,
    )
    if arguments.paths != ["-"]:
        put(_summary(formatted, diagnostics, looks_only), sys.stderr)
    return exit_code(diagnostics) or int(looks_only and any(one.changes for one in formatted))


def _formatted(paths: Sequence[str], stdin_name: str, diagnostics: Diagnostics) -> Iterator[_Formatted]:
    """What can be formatted, each file once; why the others cannot is reported."""
    for path in dict.fromkeys(found for given in paths for found in _files(given)):
        try:
            source = read_standard_input(stdin_name) if path == "-" else read_source(Path(path), path)
        except UnreadableText as error:
            name = "standard input" if path == "-" else path
            diagnostics.report(codes.UNREADABLE, f"{name} cannot be read: {error.reason}", error.span)
            continue
        text = format_source(source, diagnostics)
        if text is not None:
            yield _Formatted(source, text)


def _files(given: str) -> list[str]:
    """The path itself, or the policies in that folder and below; hidden folders and links to folders are left out."""
    if given == "-" or not Path(given).is_dir():
        return [given]
    found: list[str] = []
    for folder, folders, names in os.walk(given):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += (str(Path(folder) / name) for name in names if name.endswith(SUFFIX))
    return sorted(found)


def _write(one: _Formatted, diagnostics: Diagnostics) -> None:
    """Standard input goes to standard output, a file that changes to its place."""
    if one.source.path is None:
        put_exactly(one.text, sys.stdout)
    elif one.changes:
        try:
            write_whole(one.source.path, one.text.encode())
        except OSError as error:
            reason = error.strerror or "it is not possible"
            diagnostics.report(codes.CANNOT_WRITE, f"{one.source.name} cannot be written: {reason}")


# --- what is said ----------------------------------------------------------------------------------------------


def _show(one: _Formatted, listed: bool, diff: bool, color: bool) -> None:
    if listed:
        put(f"{visible(one.source.name)}\n", sys.stdout)
    if diff:
        from vmcsc.report.unified import painted, unified

        text = unified(one.source.text, one.text, one.source.name)
        if color:
            put(painted(text), sys.stdout)
        else:
            put_exactly(text, sys.stdout)


def _summary(formatted: Sequence[_Formatted], diagnostics: Diagnostics, looks_only: bool) -> str:
    changed = sum(one.changes for one in formatted)
    same = len(formatted) - changed
    parts = []
    if changed:
        parts.append(f"{counted(changed, 'file')} {'would be ' if looks_only else ''}reformatted")
    if same:
        parts.append(f"{counted(same, 'file')} left as {'it is' if same == 1 else 'they are'}")
    if len(diagnostics):
        parts.append(summary(diagnostics))
    return f"{', '.join(parts) or 'no policies found'}\n"


def parser() -> Parser:
    parser = Parser(
        "fmt",
        "Bring policies, and fragments to include, into the canonical layout. What they mean and their\n"
        "comments stay; a file with syntax errors is left as it is.\n"
        "Exit code 1 if there are errors, or if --check or --diff find something to change; 2 if a file\n"
        "cannot be read or written.",
        "vmcsc fmt --check .",
    )
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help=f"a file, a folder of *{SUFFIX} files, or - for standard input, which goes to standard output",
    )
    parser.add_argument("--check", action="store_true", help="write nothing, list the files that would change")
    parser.add_argument("--diff", action="store_true", help="write nothing, print how the files would change")
    parser.add_argument("--stdin-filename", metavar="NAME", help="what findings and diffs call standard input")
    add_format(parser, FORMATS, "full", "how findings are printed")
    add_color(parser)
    return parser
