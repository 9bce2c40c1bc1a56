"""Running a release on a device with SSH and Python: all test clips, and both machines compared."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeprune.datasets.dataset import Split
from edgeprune.devices.agent_answers import Arithmetic, BenchAnswer, EvalAnswer
from edgeprune.devices.ssh import SshDevice
from edgeprune.evaluation.measurement import Agreement, Comparison, LinuxRun, RuntimeChoice
from edgeprune.progress import Progress

__all__ = ["Foretelling", "OnLinux", "agreement", "compare", "foretelling", "run_there"]


@dataclass(frozen=True)
class Foretelling:
    """What this machine runs to compare a device with.

    Attributes:
        arithmetic: ``native``, ``reference`` or ``xnnpack``.
        by: the same, for people.
        why: why the bits may differ all the same; empty when they may not.
    """

    arithmetic: Arithmetic
    by: str
    why: str = ""


@dataclass(frozen=True)
class OnLinux:
    """All test clips on the device, and what it told.

    Attributes:
        scores: int8 [clips, labels].
        host: user, host and port.
        reason: why its runtime was chosen.
        bundle_bytes: of the release that is deployed.
        evaluated: what the agent said of the clips.
        benched: what the agent said of the latency.
    """

    scores: NDArray[np.int8]
    host: str
    reason: str
    bundle_bytes: int
    evaluated: EvalAnswer
    benched: BenchAnswer

    def record(self, comparison: Comparison) -> LinuxRun:
        """The run, for the report."""
        evaluated, benched = self.evaluated, self.benched
        return LinuxRun(
            host=self.host,
            release=evaluated.release,
            machine=evaluated.device,
            runtime=RuntimeChoice(
                name=evaluated.runtime,
                version=evaluated.runtime_version,
                resolver=evaluated.resolver,
                arithmetic=evaluated.arithmetic,
                threads=evaluated.threads,
                reason=self.reason,
                passed_over=evaluated.passed_over,
            ),
            comparison=comparison,
            warm_up=benched.warm_up,
            iterations=benched.iterations,
            latency_ms=benched.latency_ms,
            frame_ms=benched.frame_ms,
            inference_ms=benched.inference_ms,
            frame_instructions=benched.frame_instructions,
            inference_instructions=benched.inference_instructions,
            instructions_reason=benched.instructions_reason,
            cpu_share=benched.cpu_share,
            peak_rss_bytes=max(evaluated.peak_rss_bytes, benched.peak_rss_bytes),
            bundle_bytes=self.bundle_bytes,
            before=benched.before,
            after=evaluated.after,
        )


def run_there(device: SshDevice, test: Split, progress: Progress) -> OnLinux:
    """Measure the latency on the device, then run every test clip there, from PCM.

    Raises:
        DeviceError: nothing, or another release, is deployed; or the agent fails.
        RemoteError: the host can't be reached, or the connection broke.
    """
    with device.open() as session:
        with progress.task(f"measure the latency on {session.where}"):
            benched = session.bench()
        scores, evaluated = session.evaluate(test.pcm, progress)
        return OnLinux(
            scores=scores,
            host=session.where,
            reason=evaluated.chosen or session.release.runtime_choice.reason,
            bundle_bytes=session.bundle_bytes,
            evaluated=evaluated,
            benched=benched,
        )


def foretelling(answer: EvalAnswer, litert_here: str) -> Foretelling:
    """What this machine has to run so that the device's bits come out, or what is next to that.

    Args:
        answer: what ran on the device.
        litert_here: version of LiteRT on this machine; empty where it has none.
    """
    if answer.arithmetic == "native":
        return Foretelling("native", "the compiled model")
    if answer.arithmetic == "reference":
        return Foretelling("reference", f"LiteRT {litert_here}, reference kernels")
    by = f"LiteRT {litert_here}, default kernels"
    if answer.arithmetic == "no-delegates":
        why = "LiteRT without delegates computes in its own way on every architecture"
        return Foretelling("xnnpack", by, why)
    if answer.runtime_version != litert_here:
        why = (
            f"the device has LiteRT {answer.runtime_version}, this machine "
            f"{litert_here or 'none'}; its default kernels change from version to version"
        )
        return Foretelling("xnnpack", by, why)
    there, here = answer.device.machine, platform.machine()
    if there != here:
        why = f"LiteRT's default kernels round now and then otherwise on {there} than on {here}"
        return Foretelling("xnnpack", by, why)
    return Foretelling("xnnpack", by)


def compare(
    there: NDArray[np.int8], here: NDArray[np.int8], names: Sequence[str], foretold: Foretelling
) -> Comparison:
    """Compare the device's scores with this machine's.

    Args:
        there: int8 [clips, labels].
        here: likewise.
        names: of the clips.
        foretold: what this machine ran.
    """
    if foretold.why:
        differs = np.argmax(there, axis=1) != np.argmax(here, axis=1)
    else:
        differs = (there != here).any(axis=1)
    differing = np.flatnonzero(differs)
    first = None
    if len(differing):
        index = int(differing[0])
        first = (
            f"{len(differing)} of {len(there)} clips, first {names[index]}: "
            f"{there[index].tolist()} there, {here[index].tolist()} here"
        )
    return Comparison(
        kind="decisions" if foretold.why else "bits",
        by=foretold.by,
        why=foretold.why,
        clips=len(there),
        same=len(there) - len(differing),
        first_difference=first,
        identical=int((there == here).all(axis=1).sum()),
        largest_difference=int(np.abs(there.astype(np.int16) - here).max(initial=0)),
    )


def agreement(comparison: Comparison) -> Agreement | None:
    """Whether the bits agree; None where only decisions can."""
    if comparison.kind == "decisions":
        return None
    return Agreement(
        clips=comparison.clips,
        identical=comparison.same == comparison.clips,
        first_difference=comparison.first_difference,
    )
