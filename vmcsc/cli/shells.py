"""Completion scripts for bash, zsh and fish, written from the table of words. They never run the program."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from vmcsc.cli.words import Command, Option, Value, value_flags

GLOBAL = {"--help": "show the help", "--version": "show the versions of program and data"}
"""The options that stand in the place of a command."""


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _brief(help: str) -> str:
    """As much of a help text as a list of candidates has room for."""
    return re.split(r"[;:] |\. | \(", help)[0][:70]


def _filled(template: str, **parts: str) -> str:
    for name, text in parts.items():
        template = template.replace(f"@{name}@", text)
    return template


def _indented(lines: Iterable[str], columns: int) -> str:
    return "\n".join(f"{'':{columns}}{line}" for line in lines)


# --- bash ------------------------------------------------------------------------------------------------------

_BASH = """\
# Completion of vmcsc for bash. Source this, or write it to ~/.local/share/bash-completion/completions/vmcsc.
_vmcsc() {
    local cur=${COMP_WORDS[COMP_CWORD]} word waits='' command words='' paths='' i operands=()
    [[ $cur == = ]] && cur=''
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word == = ]]; then continue; fi # bash splits --format=json into three words
        if [[ $waits ]]; then waits=''; continue; fi
        case $word in
            @FLAGS@) waits=$word ;;
            -?*) ;;
            *) operands+=("$word") ;;
        esac
    done
    command=${operands[0]-}
    case "$command ${operands[1]-}" in
        @VARIANTS@) command="$command ${operands[1]}" ;;
    esac
    if [[ $waits ]]; then
        case "$command $waits" in
@VALUES@
        esac
    elif [[ $cur == -* ]]; then
        case $command in
@OPTIONS@
        esac
    else
        case "$command ${#operands[@]}" in
@OPERANDS@
        esac
    fi
    COMPREPLY=()
    while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -W "$words" -- "$cur")
    [[ $paths ]] || return 0
    compopt -o filenames 2>/dev/null
    while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -A "$paths" -- "$cur")
}
complete -F _vmcsc vmcsc
"""


def bash(summaries: Mapping[str, str], commands: Sequence[Command]) -> str:
    values: dict[Value, list[str]] = {}
    options = [f"'') words={_quoted(' '.join(GLOBAL))} ;;"]
    operands = [f"' 0') words={_quoted(' '.join(summaries))} ;;"]
    for command in commands:
        flags = [flag for option in command.options for flag in option.flags]
        options.append(f"{_quoted(command.key)}) words={_quoted(' '.join(flags))} ;;")
        for option in command.options:
            if option.value is not None:
                patterns = [_quoted(f"{command.key} {flag}") for flag in option.flags]
                values.setdefault(option.value, []).extend(patterns)
        for number, value in enumerate(command.operands, start=1):
            last = command.repeats and number == len(command.operands)
            pattern = f"{_quoted(f'{command.key} ')}*" if last else _quoted(f"{command.key} {number}")
            operands.append(f"{pattern}) {_bash_value(value)} ;;")
    return _filled(
        _BASH,
        FLAGS=" | ".join(value_flags(commands)),
        VARIANTS=" | ".join(_quoted(command.key) for command in commands if len(command.path) > 1) or "'-'",
        VALUES=_indented((f"{' | '.join(keys)}) {_bash_value(value)} ;;" for value, keys in values.items()), 12),
        OPTIONS=_indented(options, 12),
        OPERANDS=_indented(operands, 12),
    )


def _bash_value(value: Value) -> str:
    paths = {"": "", "files": " paths=file", "folders": " paths=directory"}[value.paths]
    return f"words={_quoted(' '.join(value.words))}{paths}"


# --- zsh -------------------------------------------------------------------------------------------------------

_ZSH = """\
#compdef vmcsc
# Completion of vmcsc for zsh. Write this to a file named _vmcsc in a folder of $fpath, or source it after compinit.
@FUNCTIONS@
_vmcsc() {
    local context state state_descr line
    typeset -A opt_args
    local -a commands
    commands=(
@COMMANDS@
    )
    _arguments -C @GLOBAL@ '1:command:->command' '*::argument:->arguments' && return
    case $state in
        command) _describe -t commands command commands ;;
        arguments)
            case "$words[1] ${words[2]-}" in
@CASES@
            esac
            ;;
    esac
}
if [[ $funcstack[1] == _vmcsc ]]; then _vmcsc "$@"; else compdef _vmcsc vmcsc; fi
"""


def zsh(summaries: Mapping[str, str], commands: Sequence[Command]) -> str:
    names: dict[Value, str] = {}
    cases = []
    for command in sorted(commands, key=lambda command: -len(command.path)):  # the longer patterns first
        specs = [_zsh_option(option, names) for option in command.options]
        for number, value in enumerate(command.operands, start=1):
            last = command.repeats and number == len(command.operands)
            specs.append(_quoted(f"{'*' if last else number}:argument:{_zsh_value(value, names)}"))
        pattern = _quoted(command.key) if len(command.path) > 1 else f"{_quoted(f'{command.key} ')}*"
        cases += [f"{pattern})", *(f"    {line}" for line in _continued(["_arguments -s", *specs])), "    ;;"]
    return _filled(
        _ZSH,
        FUNCTIONS="\n".join(_zsh_function(name, value) for value, name in names.items()),
        COMMANDS=_indented((_quoted(f"{_escaped(name)}:{text}") for name, text in summaries.items()), 8),
        GLOBAL=" ".join(_quoted(f"(- *){flag}[{_escaped(help)}]") for flag, help in GLOBAL.items()),
        CASES=_indented(cases, 16),
    )


def _continued(words: Sequence[str]) -> list[str]:
    return [f"{word} \\" for word in words[:-1]] + [words[-1]]


def _zsh_option(option: Option, names: dict[Value, str]) -> str:
    help = f"[{_escaped(_brief(option.help))}]"
    value = "" if option.value is None else f":value:{_zsh_value(option.value, names)}"
    flags = [flag + ("" if option.value is None else "=" if flag.startswith("--") else "+") for flag in option.flags]
    excluded = "*" if option.repeats else f"({' '.join(option.flags)})"
    if len(flags) == 1:
        return _quoted(f"{excluded if option.repeats else ''}{flags[0]}{help}{value}")
    return f"{_quoted(excluded)}{{{','.join(flags)}}}{_quoted(help + value)}"


def _zsh_value(value: Value, names: dict[Value, str]) -> str:
    """What completes a value: words in place, a function of ours where paths may stand beside them."""
    if value.words and value.paths:
        return names.setdefault(value, f"_vmcsc_{len(names) + 1}")
    if value.words:
        return f"({' '.join(value.words)})"
    return {"": " ", "files": "_files", "folders": "_files -/"}[value.paths]


def _zsh_function(name: str, value: Value) -> str:
    files = "_files -/" if value.paths == "folders" else "_files"
    return f"{name}() {{ local ret=1; compadd -- {' '.join(value.words)} && ret=0; {files} && ret=0; return ret }}"


def _escaped(text: str) -> str:
    return re.sub(r"([\[\]:\\])", r"\\\1", text)


# --- fish ------------------------------------------------------------------------------------------------------

_FISH = """\
# Completion of vmcsc for fish. Write this to ~/.config/fish/completions/vmcsc.fish, or source it.

# __vmcsc_at COMMAND [NUMBER [more]]: whether the line has the command, and NUMBER words that are no options, or more.
function __vmcsc_at
    set -l operands
    set -l waits 0
    for word in (commandline -opc)[2..]
        if test $waits = 1
            set waits 0
            continue
        end
        switch $word
            case @FLAGS@
                set waits 1
            case - '[^-]*'
                set -a operands $word
            case '-*'
            case '*'
                set -a operands $word
        end
    end
    set -l command $operands[1]
    if contains -- "$operands[1] $operands[2]" @VARIANTS@
        set command "$operands[1] $operands[2]"
    end
    test "$command" = "$argv[1]"; or return 1
    test (count $argv) -lt 2; and return 0
    test (count $operands) = $argv[2]; and return 0
    test "$argv[3]" = more -a (count $operands) -gt $argv[2]
end

complete -c vmcsc -f
@LINES@
"""


def fish(summaries: Mapping[str, str], commands: Sequence[Command]) -> str:
    start = "-n \"__vmcsc_at ''\""
    lines = [
        f"complete -c vmcsc {start} -a {_fish_quoted(name)} -d {_fish_quoted(text)}" for name, text in summaries.items()
    ]
    lines += [f"complete -c vmcsc {start} -l {flag[2:]} -d {_fish_quoted(help)}" for flag, help in GLOBAL.items()]
    for command in commands:
        lines += [_fish_option(command, option) for option in command.options]
        for number, value in enumerate(command.operands, start=1):
            more = " more" if command.repeats and number == len(command.operands) else ""
            condition = _fish_quoted(f"__vmcsc_at {_fish_quoted(command.key)} {number}{more}")
            lines += [f"complete -c vmcsc -n {condition} {candidates}" for candidates in _fish_value(value)]
    variants = " ".join(_fish_quoted(command.key) for command in commands if len(command.path) > 1)
    return _filled(_FISH, FLAGS=" ".join(value_flags(commands)), VARIANTS=variants, LINES="\n".join(lines))


def _fish_option(command: Command, option: Option) -> str:
    condition = _fish_quoted(f"__vmcsc_at {_fish_quoted(command.key)}")
    flags = " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags)
    value = ""
    if option.value is not None:
        value = " ".join([" -r" if option.value.paths == "files" else " -x", *_fish_value(option.value)])
    return f"complete -c vmcsc -n {condition} {flags}{value} -d {_fish_quoted(_brief(option.help))}"


def _fish_value(value: Value) -> list[str]:
    words = [f"-a {_fish_quoted(' '.join(value.words))}"] if value.words else []
    return words + {"": [], "files": ["-F"], "folders": ["-a '(__fish_complete_directories)'"]}[value.paths]


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
