"""The verdict as JUnit XML: one test case a budget, so that a CI server shows which one broke."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from edgeprune.budgets import Check, Status
from edgeprune.reports.report import Report

__all__ = ["junit"]


_TAGS = {Status.FAIL: "failure", Status.NOT_MEASURED: "error", Status.NOT_JUDGED: "skipped"}


def junit(report: Report) -> str:
    """The verdict's checks as a JUnit test suite."""
    checks = report.verdict.checks
    failures = sum(check.status is Status.FAIL for check in checks)
    errors = sum(check.status is Status.NOT_MEASURED for check in checks)
    suite = ET.Element(
        "testsuite",
        name=f"edgeprune.{report.target.name}",
        tests=str(len(checks)),
        failures=str(failures),
        errors=str(errors),
        skipped=str(sum(check.status is Status.NOT_JUDGED for check in checks)),
    )
    for check in checks:
        case = ET.SubElement(
            suite, "testcase", classname=f"{report.target.name}.{report.recipe}", name=check.name
        )
        if check.status is not Status.PASS:
            tag = _TAGS[check.status]
            ET.SubElement(case, tag, message=_sentence(check)).text = check.hint or ""
        ET.SubElement(case, "system-out").text = _sentence(check)
    suites = ET.Element("testsuites")
    suites.append(suite)
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _sentence(check: Check) -> str:
    unit = f" {check.unit}" if check.unit else ""
    measured = "not measured" if check.measured is None else f"{check.measured:,.4g}{unit}"
    if check.unit in ("instructions", "bytes") and check.measured is not None:
        measured = f"{check.measured:,.0f}{unit}"
    limit = "" if check.limit is None else f", {check.bound} {check.limit:,.10g}{unit}"
    return f"{check.name}: {measured}{limit}"
