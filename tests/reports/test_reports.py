"""Budgets to a verdict, and the verdict in every form that a person or a CI server reads."""

from __future__ import annotations

import io
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from rich.console import Console

from edgeprune.budgets import Status, judge
from edgeprune.errors import StoreError
from edgeprune.evaluation.measurement import (
    Accuracy,
    Agreement,
    Complexity,
    Footprint,
    Latency,
    Measurement,
    OperatingPoint,
)
from edgeprune.reference import report_schema
from edgeprune.reports import Identities, Report, TargetSummary, junit, markdown, show
from edgeprune.target import Budgets


def _measurement(variant: str = "pruned", **changes: object) -> Measurement:
    values: dict[str, object] = {
        "variant": variant,
        "target": "cortex-m4",
        "device": "emulator",
        "accuracy": Accuracy.of(860, 1000),
        "device_accuracy": Accuracy.of(40, 48),
        "float_accuracy": Accuracy.of(865, 1000),
        "latency": Latency(
            frame_instructions=30_000,
            inference_instructions=2_970_000,
            cycles_estimate=3_600_000,
            ms_estimate=30.0,
            clock_mhz=120.0,
        ),
        "wall_ms": None,
        "footprint": Footprint(
            model_bytes=40_960, flash_bytes=51_200, ram_bytes=10_240, stack_bytes=700
        ),
        "agreement": Agreement(clips=48, identical=True),
        "complexity": Complexity(macs=450_000, weights=20_000, nonzero=19_000),
        "labels": ("_silence_", "yes"),
        "confusion": ((400, 70), (70, 460)),
    }
    return Measurement.model_validate(values | changes)


def _points(*, identical: bool = True) -> tuple[OperatingPoint, ...]:
    """The full network and a cheaper level."""
    full = _measurement()
    assert full.accuracy is not None
    assert full.latency is not None
    place = None if identical else "clip 3, layer 14 conv_2d"
    return tuple(
        OperatingPoint(
            level=level,
            macs=450_000 // (1 + level),
            accuracy=Accuracy.of(860 - 10 * level, 1000),
            device_accuracy=Accuracy.of(40, 48),
            latency=full.latency.model_copy(
                update={"inference_instructions": 2_970_000 // (1 + level)}
            ),
            agreement=Agreement(
                clips=48,
                identical=identical or not level,
                first_difference=place if level else None,
            ),
        )
        for level in range(2)
    )


def test_levels_are_listed() -> None:
    text = markdown(_report(levels=_points()))
    assert "| level 1: accuracy, int8, 1,000 clips | 85.0 %" in text
    assert "| · inference, instructions counted | 1,485,000 |" in text
    assert "level 0" not in text


def test_bits_that_differ_at_a_level_fail() -> None:
    verdict = judge(_measurement(levels=_points(identical=False)), Budgets())
    (check,) = verdict.checks
    assert check.status is Status.FAIL
    assert check.hint is not None
    assert check.hint.startswith("level 1: clip 3, layer 14 conv_2d")
    assert judge(_measurement(levels=_points()), Budgets()).passed


BUDGETS = Budgets(
    accuracy=0.86,
    latency_ms=30.0,
    instructions=3_000_000,
    flash_kib=50.0,
    ram_kib=10.0,
    stack_bytes=700,
    model_kib=40.0,
)


def _report(budgets: Budgets = BUDGETS, **changes: object) -> Report:
    pruned = _measurement(**changes)
    verdict = judge(pruned, budgets)
    return Report(
        edgeprune_version="0.1.0",
        recipe="default",
        target=TargetSummary(
            name="cortex-m4",
            description="a board",
            core="cortex-m4",
            device="emulator",
            toolchain="zig 0.17.0",
            clock_mhz=120.0,
            optimize="speed",
        ),
        passed=verdict.passed,
        verdict=verdict,
        pruned=pruned,
        dense=_measurement("dense", accuracy=Accuracy.of(870, 1000)),
        identities=Identities(
            frontend="00ff" * 4, model="11ee" * 4, image_sha256="22" * 32, stages={"clips": "ab"}
        ),
        notes=("synthetic speech is not people",),
    )


def test_budgets_that_are_met_exactly_pass() -> None:
    verdict = judge(_measurement(), BUDGETS)
    assert verdict.passed
    given = BUDGETS.model_dump(exclude_none=True)
    assert [check.name for check in verdict.checks] == [*given, "agreement"]


@pytest.mark.parametrize(
    ("key", "limit"),
    [
        ("accuracy", 0.861),
        ("latency_ms", 29.9),
        ("instructions", 2_999_999),
        ("flash_kib", 49.9),
        ("ram_kib", 9.9),
        ("stack_bytes", 699),
        ("model_kib", 39.9),
    ],
)
def test_each_budget_decides_alone_and_says_what_to_try(key: str, limit: float) -> None:
    verdict = judge(_measurement(), BUDGETS.model_copy(update={key: limit}))
    failed = [check for check in verdict.checks if check.status is Status.FAIL]
    assert [check.name for check in failed] == [key]
    assert failed[0].hint
    assert not verdict.passed


def test_a_budget_that_can_not_be_measured_does_not_pass() -> None:
    verdict = judge(_measurement(latency=None), Budgets(latency_ms=30.0))
    assert verdict.checks[0].status is Status.NOT_MEASURED
    assert not verdict.passed


def test_bits_that_differ_fail_without_any_budget() -> None:
    agreement = Agreement(clips=48, identical=False, first_difference="clip 3, layer 2 conv_2d")
    verdict = judge(_measurement(agreement=agreement), Budgets())
    assert not verdict.passed
    assert "clip 3, layer 2 conv_2d" in (verdict.checks[0].hint or "")


def test_no_budget_and_no_device_is_a_pass() -> None:
    assert judge(_measurement(agreement=None), Budgets()).passed


def test_the_report_matches_its_published_schema_and_survives_a_round_trip(tmp_path: Path) -> None:
    report = _report()
    document = json.loads(report.to_json())
    jsonschema.validate(document, json.loads(report_schema()))
    path = tmp_path / "report.json"
    path.write_text(report.to_json(), encoding="utf-8")
    assert Report.read(path) == report
    del document["verdict"]
    with pytest.raises(jsonschema.ValidationError, match="'verdict' is a required property"):
        jsonschema.validate(document, json.loads(report_schema()))


@pytest.mark.parametrize("text", ["", "{}", '{"schema_version": 2}'])
def test_a_report_of_another_version_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StoreError, match="is not a report of this version"):
        Report.read(path)


def _terminal(report: Report) -> str:
    stream = io.StringIO()
    show(report, Console(file=stream, width=200))
    return stream.getvalue()


def test_every_view_shows_the_same_numbers() -> None:
    report = _report()
    for text in (_terminal(report), markdown(report)):
        for number in ("86.0 % (83.7–88.0)", "1,000 clips", "≥ 86.0 %", "-1.0 points", "3,000,000"):
            assert number in text
        assert "51,200" in text
        assert "≤ 50 KiB" in text
        assert "synthetic speech is not people" in text
        assert "every budget is met" in text
        assert "estimated" in text


def test_a_missed_budget_stands_out_in_every_view() -> None:
    report = _report(BUDGETS.model_copy(update={"flash_kib": 40.0}))
    for text in (_terminal(report), markdown(report)):
        assert "FAIL" in text
        assert "a budget is missed" in text
        assert "flash_kib" in text


def test_a_table_without_a_terminal_is_plain_and_does_not_fold() -> None:
    stream = io.StringIO()
    show(_report(), Console(file=stream, width=110))
    text = stream.getvalue()
    assert "\x1b" not in text
    row = next(line for line in text.splitlines() if "flash of the image" in line)
    assert "51,200" in row
    assert "pass" in row


def test_junit_has_a_case_a_budget() -> None:
    suite = ET.fromstring(junit(_report(BUDGETS.model_copy(update={"flash_kib": 40.0}))))[0]
    cases = {case.get("name"): case for case in suite}
    assert suite.get("tests") == "8"
    assert suite.get("failures") == "1"
    assert list(cases) == [*BUDGETS.model_dump(exclude_none=True), "agreement"]
    failure = cases["flash_kib"].find("failure")
    assert failure is not None
    assert failure.get("message") == "flash_kib: 50 KiB, at most 40 KiB"
    assert cases["stack_bytes"].find("failure") is None


def test_a_difference_is_short_in_the_table_and_told_in_full_below() -> None:
    first = "1 of 48 clips, first yes/a|b.wav: " + str(list(range(40)))
    report = _report(agreement=Agreement(clips=48, identical=False, first_difference=first))
    row = next(line for line in markdown(report).splitlines() if "bits on device" in line)
    assert " differ " in row
    assert row.count("|") == 7
    assert first in markdown(report)
    stream = io.StringIO()
    show(report, Console(file=stream, width=110))
    assert "flash of the image" in stream.getvalue()
