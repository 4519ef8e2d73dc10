"""What a dump does not prove, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from vmcsc.diagnose.diagnosis import Diagnosis


def caveats(diagnosis: Diagnosis) -> list[str]:
    """What one would take for granted and must not, each a sentence."""
    return list(dict.fromkeys([*_of_the_answer(diagnosis), *_of_the_values(diagnosis)]))


def _of_the_answer(diagnosis: Diagnosis) -> Iterator[str]:
    reported, left = diagnosis.reported, diagnosis.exit
    exit = "" if left is None else f"{left[0]}" + ("" if left[1] is None else f" ({left[1].sdm})")
    if reported is None:
        if diagnosis.other:
            yield "A message says that this is an exit that the hypervisor did not expect, not an entry that failed."
        elif left is not None:
            yield (
                f"The exit reason {exit} is that of an exit, not of an entry that failed. Either VMLAUNCH or VMRESUME "
                "failed with a VM-instruction error, which the dump does not have (the program that runs the guest "
                "prints it, as `hardware error 0x7`), or the dump was printed for an exit that was not expected."
            )
        else:
            yield "Nothing here says that an entry failed, or how."
        return
    if left is not None:
        yield f"The exit reason in the dump, {exit}, is left from an earlier exit."
    stage = next((one for one in diagnosis.database.stages if set(one.outcomes) & set(reported.parts.items())), None)
    if stage is not None and len(stage.outcomes) > 1:
        others = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in stage.outcomes
                           if reported.parts.get(name) != value)  # fmt: skip
        yield (
            f"The processor checks in any order what may end in this and in {others} (SDM: {stage.section}): its "
            "answer does not prove that the rest of it is good."
        )


def _of_the_values(diagnosis: Diagnosis) -> Iterator[str]:
    dump = diagnosis.dump
    for span, says in dump.remarks:
        yield f"{span}: `{span.text.strip()}` is {says}."
    if dump.disputed:
        names = ", ".join(dump.disputed)
        yield f"Told twice and differently, as where two dumps are mixed, and taken for unknown: {names}."
    if dump.form.sections and not dump.form.sections[0].heading:
        yield f"{dump.form.source}."
    if dump.strangers:
        yield "Lines within the dump were not understood; what they tell is unknown."
