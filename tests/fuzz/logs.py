"""What is fuzzed of logs: dumps and messages of every form, alone and together, quoted, prefixed and cut."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from random import Random

from tests.diagnose.written import RAW, messages, written
from vmcsc.architecture.database import Database
from vmcsc.capabilities.cpu import UNKNOWN_CPU, Cpu
from vmcsc.cli.decode_dump import dump_text
from vmcsc.cli.diagnosis_json import as_json, event_json
from vmcsc.cli.diagnosis_text import print_log
from vmcsc.diagnose.api import read_any
from vmcsc.diagnose.diagnosis import diagnose_dump
from vmcsc.diagnostic import Diagnostics

FIELDS = [name for form in RAW["forms"] for name in re.findall(r"<(?:\w+ )?(\w+)", str(form["sections"]))]
FAILURE = {"failure": 0x80000021, "msr": 0x48B, "value": 0x1FF7FFF00000000, "bit": 20}


def texts() -> Sequence[bytes]:
    chance = Random(0)
    values = {name: chance.getrandbits(16) for name in FIELDS}
    plain = written("vmcs", values)
    old = written("vmcs", values, era="xen_4_5")
    registers = written("registers", values)
    said = "\n".join(messages(FAILURE)) + "\n"
    stamped = "".join(f"[   12.{n:06}][ T{n % 2}] kvm_intel: {line}\n" for n, line in enumerate(plain.splitlines()))
    quoted = "".join(f"> > {line}\r\n" for line in old.splitlines())
    fields = json.dumps({"GUEST_CR3": "0x1000", "guest_rflags": 0, "VM_ENTRY_CONTROLS": 0x13FF})
    samples = [plain, old, registers, said, stamped, quoted, said + plain + registers + old, fields, plain[900:2900]]
    return [sample.encode() for sample in samples]


def read_log(path: Path, database: Database, cpu: Cpu) -> str:
    """As `vmcsc diagnose` and `vmcsc decode`, with a CPU for every second text; what they print."""
    diagnostics = Diagnostics()
    with path.open("rb") as stream:
        log = read_any(stream, path.name, database, diagnostics)
    own = cpu if log.lines % 2 else UNKNOWN_CPU
    found = [diagnose_dump(dump, database, own) for dump in log.dumps]
    printed = io.StringIO()
    with redirect_stdout(printed):
        print_log(log, found, own, database, "never")
    json.dumps([as_json(one) for one in found] + [event_json(event, database, own) for event in log.events])
    text = printed.getvalue() + "".join(dump_text(dump, log, database, "never") for dump in log.dumps)
    assert all(character.isprintable() or character == "\n" for character in text), "an unprintable character"
    return text if log.dumps or log.events else ""
