"""`vmcsc completion`: print a script that completes command lines in a shell."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from vmcsc.cli import COMMANDS
from vmcsc.cli.parser import Parser
from vmcsc.cli.terminal import put

SHELLS = ("bash", "zsh", "fish")


def run(argv: Sequence[str]) -> int:
    arguments = parser().parse_args(argv)
    put(script(arguments.shell), sys.stdout)
    return 0


def script(shell: str) -> str:
    """The script for one of `SHELLS`."""
    from vmcsc.cli import shells, words

    commands = words.all_commands(COMMANDS)
    write = {"bash": shells.bash, "zsh": shells.zsh, "fish": shells.fish}[shell]
    return write(COMMANDS, commands)


def parser() -> Parser:
    parser = Parser(
        "completion",
        "Print a script that completes command lines: commands, options, their values, the names of shipped\n"
        "CPUs and policies, and files. The script is static: it does not run vmcsc. Write it to where your\n"
        "shell looks, and again after an update:\n"
        "  bash  ~/.local/share/bash-completion/completions/vmcsc\n"
        "  zsh   a file named _vmcsc in a folder of $fpath\n"
        "  fish  ~/.config/fish/completions/vmcsc.fish",
        "vmcsc completion bash",
    )
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=f"one of {', '.join(SHELLS)}")
    return parser
