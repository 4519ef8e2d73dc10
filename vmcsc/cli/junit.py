"""Results of scenarios as JUnit XML, which CI systems show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from vmcsc.report import render
from vmcsc.report.cells import visible

if TYPE_CHECKING:
    from vmcsc.scenario.result import ScenarioResult


def junit_text(results: Sequence[ScenarioResult]) -> str:
    """A suite for each policy and CPU, a case for each scenario."""
    root = ElementTree.Element("testsuites", _counts(results), name="vmcsc")
    for (policy, cpu), group in groupby(results, key=lambda one: (one.policy, one.cpu)):
        cases = list(group)
        name = f"{visible(policy)} on {visible(cpu)}"
        suite = ElementTree.SubElement(root, "testsuite", _counts(cases), name=name)
        for one in cases:
            case = ElementTree.SubElement(suite, "testcase", classname=name, name=visible(one.title))
            if one.findings:
                failure = ElementTree.SubElement(case, "failure", message=visible(one.findings[0].message))
                failure.text = render(one.findings, "full", color=False)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _counts(results: Iterable[ScenarioResult]) -> dict[str, str]:
    found = list(results)
    return {"tests": str(len(found)), "failures": str(sum(not one.passed for one in found))}
