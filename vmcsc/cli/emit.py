"""`vmcsc emit`: compile a policy and write what a back end makes of it."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args, get_type_hints

from vmcsc import codes
from vmcsc.backend import Artifact, Backend, backends, findings, get
from vmcsc.cli.findings import exit_code, print_failure, print_findings
from vmcsc.cli.output import write_or_report
from vmcsc.cli.parser import FINDINGS, SETTINGS, Parser, add_color, add_cpus, add_format, add_specs, add_strictness
from vmcsc.cli.policies import POLICY_HELP, NamedPolicies
from vmcsc.cli.project import open_project
from vmcsc.cli.terminal import put
from vmcsc.diagnostic import Diagnostics
from vmcsc.errors import VmcscError
from vmcsc.report import FORMATS
from vmcsc.report.cells import visible


def run(argv: Sequence[str]) -> int:
    name = _named_backend(argv)
    backend = None if name is None else get(name)
    chosen = parser(name, backend)
    arguments = chosen.parse_args(argv)
    if backend is None:  # -h was given in its place, or nothing, and the parser has said so
        chosen.error("a back end is needed")
    try:
        project = open_project(arguments, with_cpus=not arguments.cpu)
    except VmcscError as error:
        return print_failure(error, format=arguments.format, color=arguments.color)
    diagnostics = Diagnostics(found=list(project.findings))
    source = NamedPolicies(project.database).find(arguments.policy, diagnostics)
    if source is not None:
        result = project.compile(source, arguments.cpu)
        diagnostics.extend(result.diagnostics)
        diagnostics.suppressed += result.suppressed
        vmcses, options = list(result.by_cpu.values()), _options(backend, arguments)
        about = findings(backend, vmcses, options) if vmcses else []  # also where something else is wrong
        diagnostics.extend(about)
        if result.ok and not exit_code([*result.diagnostics, *about], strict=arguments.strict):
            _write(backend.emit(vmcses, options), arguments.output, diagnostics)
    found = diagnostics.found
    print_findings(
        found,
        sys.stderr,
        format=arguments.format,
        color=arguments.color,
        suppressed=diagnostics.suppressed,
        database=project.database,
    )
    return exit_code(found, strict=arguments.strict, exit_zero=arguments.exit_zero)


def _write(artifacts: Sequence[Artifact], output: str | None, diagnostics: Diagnostics) -> None:
    """Write to the file or folder `output` or to standard output; what prevents it is a finding."""
    if not artifacts:  # the back end has said why
        return
    if output is not None and (output.endswith(os.sep) or (len(artifacts) != 1 and Path(output).is_dir())):
        _into_folder(artifacts, Path(output), diagnostics)
        return
    if len(artifacts) != 1:
        names = ", ".join(artifact.path for artifact in artifacts)
        message = f"the back end makes several files, which cannot have one name: {names}"
        diagnostics.report(codes.CANNOT_WRITE, message, help="name a folder for them: `-o FOLDER/`")
        return
    content = artifacts[0].content
    if output in (None, "-"):
        _to_standard_output(content)
        return
    _to_file(artifacts[0], Path(output or ""), diagnostics)


def _into_folder(artifacts: Sequence[Artifact], folder: Path, diagnostics: Diagnostics) -> None:
    """Write each artifact under its own name below `folder`; a name that leads out of it is refused."""
    for artifact in artifacts:
        parts = Path(artifact.path).parts
        if not parts or Path(artifact.path).is_absolute() or ".." in parts:
            diagnostics.report(codes.CANNOT_WRITE, f"{artifact.path} does not lie in the folder {folder}")
            continue
        target = folder / artifact.path
        with suppress(OSError):  # writing says why
            target.parent.mkdir(parents=True, exist_ok=True)
        _to_file(artifact, target, diagnostics)


def _to_file(artifact: Artifact, path: Path, diagnostics: Diagnostics) -> None:
    content = artifact.content
    write_or_report(path, content.encode() if isinstance(content, str) else content, diagnostics)


def _to_standard_output(content: str | bytes) -> None:
    """An artifact is the same bytes whatever the terminal's encoding."""
    stream = getattr(sys.stdout, "buffer", None)
    if stream is None:
        put(content if isinstance(content, str) else content.decode("utf-8", "backslashreplace"), sys.stdout)
        return
    sys.stdout.flush()
    stream.write(content.encode() if isinstance(content, str) else content)
    stream.flush()


# --- arguments ---


def _named_backend(argv: Sequence[str]) -> str | None:
    """The first positional argument: which further options there are depends on it."""
    parser = Parser("emit", "", "", add_help=False)
    parser.add_argument("backend", nargs="?")
    _add_common(parser)
    known, _ = parser.parse_known_args(argv)
    name: str | None = known.backend
    return name


def variants() -> dict[str, Parser]:
    """The parser for each back end, with the options of its own."""
    found = {}
    for name in backends():
        with suppress(VmcscError):  # one that does not load has no options
            found[name] = parser(name, get(name))
    return found


def parser(name: str | None = None, backend: Backend | None = None) -> Parser:
    about = "" if backend is None else f"\n\n{name}: {visible(backend.summary)}"
    parser = Parser(
        "emit",
        "Compile a policy and print, or write to a file, what a back end makes of it.\n"
        "Nothing is written if there are errors. A file is replaced as a whole or not at all. Findings go to\n"
        "standard error. Options of a back end stand behind its name; `vmcsc emit BACKEND --help` shows them."
        f"{about}",
        "vmcsc emit c-header kvm-classic --cpu ice_lake_i7_1065g7 -o vmcs.h",
        FINDINGS,
        SETTINGS,
    )
    parser.add_argument("backend", metavar="BACKEND", help="what to make; `vmcsc backends` lists them")
    usual = getattr(backend, "policy", None)  # what is emitted may be the same for all policies
    if usual is None:
        parser.add_argument("policy", metavar="POLICY", help=POLICY_HELP)
    else:
        help = f"{POLICY_HELP} (default: {usual})"
        parser.add_argument("policy", nargs="?", default=usual, metavar="POLICY", help=help)
    _add_common(parser)
    if backend is not None:
        group = parser.add_argument_group(f"options of {name}")
        hints = get_type_hints(backend.options)
        for field in dataclasses.fields(backend.options):
            _add_option(group, field, hints[field.name])
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="the file to write, or with a / at its end the folder for all files; without it, or with -,"
        " standard output",
    )
    add_cpus(parser)
    add_specs(parser)
    add_format(parser, FORMATS, "full", "how findings are printed")
    add_color(parser)
    add_strictness(parser)


def _add_option(group: Any, field: dataclasses.Field[Any], type_: Any) -> None:
    """One option of a back end: `--flag/--no-flag` for a truth value, else `--name VALUE`."""
    flag = f"--{field.name.replace('_', '-')}"
    default = field.default if field.default is not dataclasses.MISSING else None
    help = visible(str(field.metadata.get("help", ""))).replace("%", "%%")
    if type_ is bool:
        group.add_argument(
            flag, dest=_dest(field), action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS,
            help=f"{help} (default: {'yes' if default else 'no'})",
        )  # fmt: skip
        return
    of = next((t for t in get_args(type_) if t is not type(None)), type_)
    suffix = "" if default in (None, "") else f" (default: {default})"
    group.add_argument(
        flag,
        dest=_dest(field),
        type=(lambda text: int(text, 0)) if of is int else str,
        default=argparse.SUPPRESS,
        choices=field.metadata.get("choices"),
        metavar=field.metadata.get("metavar", "NUMBER" if of is int else "VALUE"),
        help=f"{help}{suffix}",
    )


def _dest(field: dataclasses.Field[Any]) -> str:
    return f"option_{field.name}"


def _options(backend: Backend, arguments: argparse.Namespace) -> Any:
    """The back end's options, as given; those left out take its own defaults."""
    given = {field.name: getattr(arguments, _dest(field), None) for field in dataclasses.fields(backend.options)}
    return backend.options(**{name: value for name, value in given.items() if value is not None})
