"""Write docs/tour.md: a session in a real terminal of 80 columns, captured by tmux. `python docs/tour.py`

Needs tmux, git and gcc, and the development environment that `tests/run.sh` sets up. The same commands in the same
environment print the same, so the page only changes when vmcsc does; tests/docs/test_tour.py tells when it has.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

COLUMNS = 80
PAGE = Path(__file__).with_name("tour.md")

HEAD = """\
# A tour

<!-- Written by docs/tour.py from a session in tmux. Do not edit: change the script, and run it. -->

From an empty folder to a commit, in a terminal of 80 columns. What follows is what that terminal showed.
"""

STEPS: Sequence[tuple[str, Sequence[str]]] = (
    (
        "## A policy with three mistakes\n\n"
        "A thin monitor: it wants to see HLT and RDRAND, the guest has its own page tables, and reads the TSC itself.",
        [
            "cat > guest.vmcs <<'END'\n"
            "policy guest {\n"
            '  summary "A guest that owns the machine"\n'
            "  for cpus sandy_bridge_i7_2635qm, ivy_bridge_i7_3820qm\n"
            "\n"
            "  vm_exit  {require host_address_space_size}\n"
            "  vm_entry {require ia_32e_mode_guest}\n"
            "  primary {\n"
            "      require hlt_exitin, use_msr_bitmaps\n"
            "      forbid rdtsc_exiting     # the guest reads the TSC itself\n"
            "      prefer use_tsc_offsetting\n"
            "  }\n"
            "  secondary {\n"
            "    require enable_ept, unrestricted_guest\n"
            "    require rdrand_exiting\n"
            "  }\n"
            "  msrs { intercept write ia32_apic_base }\n"
            "  tsc_offset = param tsc_offset : u6 = 0\n"
            "}\n"
            "END",
            "vmcsc check guest.vmcs",
        ],
    ),
    (
        "Both are slips, and the messages say what to write. With them out of the way there is a VMCS for each of the\n"
        "two processors that the policy names, and one of them cannot grant what is required.",
        ["sed -i 's/hlt_exitin,/hlt_exiting,/; s/: u6 /: u64 /' guest.vmcs", "vmcsc check guest.vmcs"],
    ),
    (
        "## Two processors\n\nWhat else does the older one lack?",
        ["vmcsc cpu diff sandy_bridge_i7_2635qm ivy_bridge_i7_3820qm"],
    ),
    (
        "It has no RDRAND at all, so there is nothing to see there, and a preference says what is meant. What is left\n"
        "is a note, and the exit status is 0.",
        [
            "sed -i 's/require rdrand_exiting/prefer  rdrand_exiting/' guest.vmcs",
            "vmcsc check guest.vmcs && echo good",
            "vmcsc diff guest.vmcs --cpu sandy_bridge_i7_2635qm --cpu ivy_bridge_i7_3820qm",
        ],
    ),
    ("## The layout", ["vmcsc fmt --diff guest.vmcs", "vmcsc fmt guest.vmcs"]),
    (
        "## The header\n\n"
        "One header for all processors: it reads the capability MSRs where it runs. Its first lines say what that\n"
        "comes to on those that the policy names.",
        [
            "vmcsc emit c-header guest.vmcs -o guest.h",
            "grep -A1 '^ . On ' guest.h | cut -c4- | fold -s -w 76",
            "cat > monitor.c <<'END'\n"
            '#include "guest.h"\n'
            "\n"
            "int set_up_guest(struct guest_vmcs *vmcs, uint64_t msr_bitmap, void *cpu,\n"
            "                 vmcsc_rdmsr_function rdmsr, vmcsc_vmwrite_function vmwrite)\n"
            "{\n"
            "    struct guest_arguments arguments;\n"
            "\n"
            "    guest_defaults(&arguments);\n"
            "    arguments.page_msr_bitmap = msr_bitmap;\n"
            "    return guest_apply(&arguments, vmcs, rdmsr, vmwrite, cpu);\n"
            "}\n"
            "END",
            "gcc -std=c99 -Wall -Wextra -Werror -c monitor.c && echo compiled",
        ],
    ),
    (
        "## The commit\n\n"
        "With the hooks of pre-commit nothing gets into the repository that does not compile for the processors it\n"
        "names. Here they run the vmcsc that is installed; [configuration.md](configuration.md) has the lines for a\n"
        "project of your own.",
        [
            "git init -q -b main",
            "cat > .pre-commit-config.yaml <<'END'\n"
            "repos:\n"
            "  - repo: local\n"
            "    hooks:\n"
            "      - id: vmcsc-check\n"
            "        name: vmcsc check\n"
            "        entry: vmcsc check\n"
            "        language: system\n"
            "        files: \\.vmcs$\n"
            "      - id: vmcsc-fmt\n"
            "        name: vmcsc fmt\n"
            "        entry: vmcsc fmt\n"
            "        language: system\n"
            "        files: \\.vmcs$\n"
            "END",
            "pre-commit install",
            "git add guest.vmcs .pre-commit-config.yaml",
            "git commit -q -m 'Add the policy of the guest'",
        ],
    ),
    (
        "A slip in a later change does not get past them:",
        [
            "sed -i 's/unrestricted_guest/unrestricted_gest/' guest.vmcs",
            "git commit -q -a -m 'Tidy up'",
            "git log --format=%s",
        ],
    ),
)
"""What is said, and the commands that follow it."""


def environment(home: Path) -> dict[str, str]:
    """Nothing of whoever runs this but the programs."""
    path = [str(Path(sys.executable).parent), *os.environ.get("PATH", "").split(os.pathsep)]
    who = {f"GIT_{role}_{what}": "x@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return {
        "PATH": os.pathsep.join(path),
        "HOME": str(home),
        "PRE_COMMIT_HOME": str(home / "pre-commit"),
        "LC_ALL": "C.UTF-8",
        "TERM": "xterm-256color",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_PAGER": "cat",
        **who,
    }


def commands() -> list[str]:
    return [command for _, step in STEPS for command in step]


def page(outputs: Sequence[str]) -> str:
    """The page, with what each of the commands showed."""
    left = iter(outputs)
    parts = [HEAD]
    for said, step in STEPS:
        shown = "".join(f"$ {command}\n{next(left)}" for command in step)
        parts.append(f"{said}\n\n```\n{shown}```\n")
    return "\n".join(parts)


# --- the session ------------------------------------------------------------------------------------------------


class Session:
    """A shell in a terminal that tmux draws."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self._variables = dict(variables)
        self._socket = folder.parent / "tmux"
        settings = folder.parent / "tmux.conf"
        settings.write_text("set -g history-limit 100000\nset -g status off\nset -g default-terminal xterm-256color\n")
        shell = "exec bash --norc --noprofile --noediting"
        self._tmux("-f", str(settings), "new-session", "-d", "-x", str(COLUMNS), "-y", "50", "-c", str(folder), shell)
        signal = f"tmux -S {self._socket} wait-for -S prompt"
        self._type(f" set +H; PS2=; PS1='$ '; PROMPT_COMMAND='{signal}'; clear")
        self._wait()

    def run(self, command: str) -> None:
        self._type(command)
        self._wait()

    def screen(self) -> list[str]:
        """All that the terminal showed from the beginning, without the blanks at the ends of its lines."""
        return [line.rstrip() for line in self._tmux("capture-pane", "-p", "-S", "-", "-E", "-").rstrip().split("\n")]

    def close(self) -> None:
        self._tmux("kill-server")

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-S", str(self._socket), *arguments]
        done = subprocess.run(command, env=self._variables, check=True, capture_output=True, text=True, timeout=120)
        return done.stdout

    def _type(self, text: str) -> None:
        for line in text.split("\n"):
            ending = line.endswith(";")  # tmux would take it for the end of its own command
            self._tmux("send-keys", "-l", "--", f"{line[:-1]}\\;" if ending else line)
            self._tmux("send-keys", "Enter")

    def _wait(self) -> None:
        """Until the shell is about to show its prompt, and then until that is there."""
        self._tmux("wait-for", "prompt")
        while self.screen()[-1] != "$":
            time.sleep(0.02)


def outputs_of(screen: Sequence[str]) -> list[str]:
    """What stands on the screen between a command and the next one."""
    left = list(screen)
    typed = [f"$ {command}".split("\n") for command in commands()] + [["$"]]
    found = []
    for command, following in pairwise(typed):
        assert left[: len(command)] == command, (left[: len(command)], command)
        del left[: len(command)]
        end = next(at for at, line in enumerate(left) if line == following[0])
        found.append("".join(f"{line}\n" for line in left[:end]))
        del left[:end]
    return found


def main() -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # tmux removes its socket late
        work = Path(folder) / "tour"
        work.mkdir()
        session = Session(work, environment(Path(folder)))
        try:
            for command in commands():
                session.run(command)
            screen = session.screen()
        finally:
            session.close()
    PAGE.write_text(page(outputs_of(screen)), encoding="utf-8")


if __name__ == "__main__":
    main()
