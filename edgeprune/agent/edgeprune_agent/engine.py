"""Front-end and runtime together, proved by the golden clip before anything else is asked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arguments import RUNTIMES
from .bundle import Bundle
from .errors import BundleError, GoldenMismatch, RuntimeUnavailable
from .frontend import FrontEnd
from .probe import survives
from .runtimes import Runtime, load

__all__ = ["Engine", "GoldenAnswer", "open_engine"]

_CLIP = "golden/clip.s16"
#: What every runtime must decide like.
_COMMON = "golden/scores.i8"


@dataclass(frozen=True)
class GoldenAnswer:
    """How the golden clip was answered.

    Attributes:
        expected: the file of scores that counted.
        exact: whether the bits had to be the same, and were; else the decision was.
        largest_difference: over the scores.
    """

    expected: str
    exact: bool
    largest_difference: int


@dataclass(frozen=True)
class Engine:
    """From PCM to scores.

    Attributes:
        bundle: that it is of.
        labels: what the scores mean.
        frontend: PCM to inputs.
        runtime: inputs to scores.
        golden: its answer to the golden clip.
        passed_over: runtime to the reason, for those that ``auto`` tried before.
    """

    bundle: Bundle
    labels: tuple[str, ...]
    frontend: FrontEnd
    runtime: Runtime
    golden: GoldenAnswer
    passed_over: dict[str, str]

    def describe(self) -> dict[str, Any]:
        """What runs, for reports."""
        return {
            "release": self.bundle.release,
            "runtime": self.runtime.name,
            "runtime_version": self.runtime.version,
            "resolver": self.runtime.resolver,
            "arithmetic": self.runtime.arithmetic,
            "numpy": np.__version__,
            "threads": self.runtime.threads,
            "golden": {
                "expected": self.golden.expected,
                "exact": self.golden.exact,
                "largest_difference": self.golden.largest_difference,
            },
            "passed_over": self.passed_over,
            "chosen": self.bundle.chosen,
        }

    def posteriors(self, scores: NDArray[np.int8]) -> NDArray[np.float64]:
        """Scores to probabilities [labels]: a softmax's as they are, logits through a softmax."""
        settings = self.frontend.settings
        values = (scores.astype(np.float64) - settings.output_zero_point) * settings.output_scale
        if (settings.output_scale, settings.output_zero_point) == (1 / 256, -128):
            return values
        powers: NDArray[np.float64] = np.exp(values - values.max())
        shares: NDArray[np.float64] = powers / powers.sum()
        return shares


def open_engine(
    bundle: Bundle, *, runtime: str = "auto", resolver: str = "default", threads: int = 1
) -> Engine:
    """The first runtime that loads the model and answers the golden clip.

    Args:
        bundle: what to run.
        runtime: of ``arguments.RUNTIMES``, or ``auto``: all of them, each first in a process of
            its own, so that one that crashes or hangs is passed over.
        resolver: of ``arguments.RESOLVERS``.
        threads: to infer with.

    Raises:
        BundleError: the bundle lacks what is needed.
        FrontendError: the front-end's library can't be loaded here.
        RuntimeUnavailable: no runtime loads the model; says why, for each.
        GoldenMismatch: the runtime that was asked for computes something else.
    """
    labels = _labels(bundle)

    def attempt(name: str, passed_over: dict[str, str]) -> Engine:
        frontend = FrontEnd(bundle)
        sizes = frontend.settings.input_size, len(labels)
        loaded = load(bundle, name, resolver=resolver, threads=threads, sizes=sizes)
        return Engine(
            bundle, labels, frontend, loaded, _answer(bundle, frontend, loaded), passed_over
        )

    if runtime != "auto":
        return attempt(runtime, {})
    FrontEnd(bundle)
    passed_over: dict[str, str] = {}
    for name in RUNTIMES:
        reason = survives(partial(attempt, name, {}))
        if reason is None:
            return attempt(name, passed_over)
        passed_over[name] = reason
    raise RuntimeUnavailable(
        "no runtime answers: " + "; ".join(f"{n}: {reason}" for n, reason in passed_over.items()),
        hint="deploy with a runtime that has a wheel for this Python, or with native",
    )


def _labels(bundle: Bundle) -> tuple[str, ...]:
    labels = bundle.json("labels.json")
    if not isinstance(labels, list) or not labels or not all(isinstance(x, str) for x in labels):
        raise BundleError(f"{bundle.folder / 'labels.json'}: is no list of labels")
    return tuple(labels)


def _answer(bundle: Bundle, frontend: FrontEnd, runtime: Runtime) -> GoldenAnswer:
    clip = np.frombuffer(bundle.path(_CLIP).read_bytes(), dtype="<i2").astype(np.int16)
    scores = runtime.infer(frontend.inputs(clip.reshape(1, -1))[0])
    own = _COMMON if runtime.arithmetic == "reference" else f"golden/scores.{runtime.arithmetic}.i8"
    exact = bundle.has(own)
    name = own if exact else _COMMON
    expected = np.frombuffer(bundle.path(name).read_bytes(), dtype=np.int8)
    if expected.shape != scores.shape:
        raise BundleError(f"{bundle.folder / name}: has {expected.size} scores, not {scores.size}")
    differences = np.abs(expected.astype(np.int16) - scores)
    largest = int(differences.max())
    if largest if exact else int(np.argmax(expected)) != int(np.argmax(scores)):
        raise GoldenMismatch(
            f"{runtime.name} {runtime.version} ({runtime.arithmetic}) answers the golden clip with "
            f"{scores.tolist()}; {expected.tolist()} is right",
            hint="its kernels are not those of the host; try another runtime or resolver",
        )
    return GoldenAnswer(name, exact, largest)
