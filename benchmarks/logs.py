"""How fast a large log is read, and how its memory grows."""

from __future__ import annotations

import io
import random
import sys
from pathlib import Path

from measure import Row, computing

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.diagnose.written import written
from vmcsc.diagnose.diagnosis import diagnose_dump
from vmcsc.diagnose.log import read_log
from vmcsc.loading import load

SIZE = 50_000_000
NOISE = (
    "Nov 27 08:01:02 pve kernel: [   12.345678] eth0: Link is Up - 1Gbps/Full - flow control rx/tx\n",
    "Nov 27 08:01:02 pve kernel: [   12.345679] usb 1-1: new high-speed USB device number 5 using xhci_hcd\n",
    'Nov 27 08:01:02 pve audit[1234]: AVC apparmor="STATUS" operation="profile_load" name="lxc" pid=1234\n',
)


def rows(rounds: int) -> list[Row]:
    database = load()
    dump = whole_dump()
    found = []
    for what, every in (("a dump in 10 MB", 10_000_000), ("a dump in 100 KB", 100_000)):
        data = _log(dump, every)

        def run(data: bytes = data) -> None:
            assert read_log(io.BytesIO(data), "log", database).dumps

        seconds = computing(run, min(rounds, 5))
        found.append(Row(f"a log with {what}, read", seconds / (len(data) / 1e6) * 1000, "ms/MB", target=50))
    one = read_log(io.BytesIO(dump.encode()), "log", database).dumps[0]

    def diagnose() -> None:
        diagnosis = diagnose_dump(one, database)
        assert diagnosis.violated and diagnosis.undetermined and diagnosis.suspects

    return [*found, Row("one dump diagnosed, in a warm process", computing(diagnose, rounds) * 1000, "ms")]


def whole_dump() -> str:
    """A dump with every line, and numbers without a meaning."""
    chance = random.Random(0)
    fields = {name: chance.getrandbits(16) for name in load().fields}
    return written("vmcs", fields, skip=("CR3: actual", "(autoload", "(effective", "MSR LL", "CS:RIP", "(<"))


def _log(dump: str, every: int) -> bytes:
    chance = random.Random(1)
    parts, size, next_dump = [], 0, every // 2
    while size < SIZE:
        part = chance.choice(NOISE)
        if size > next_dump:
            part, next_dump = dump, next_dump + every
        parts.append(part)
        size += len(part)
    return "".join(parts).encode()
