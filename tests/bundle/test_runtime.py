"""Which runtime a device gets, by what there are wheels for."""

from __future__ import annotations

import pytest

from edgeprune.bundle.facts import DeviceFacts
from edgeprune.bundle.runtime import (
    Choice,
    Plan,
    RuntimeName,
    Wanted,
    choose,
    extra_requirements,
)
from edgeprune.bundle.wheels import Attempt, Package
from edgeprune.errors import BundleError

PI = DeviceFacts("aarch64", (3, 11), (2, 36))
PI_32 = DeviceFacts("armv7l", (3, 11), (2, 36))
HERE = "2.3.0"


class Index:
    """An index that has wheels for some requirements; remembers what was asked."""

    def __init__(self, has: dict[str, str]) -> None:
        self.has = has
        self.asked: list[tuple[tuple[str, ...], bool]] = []

    def __call__(
        self, requirements: tuple[str, ...], runtime: RuntimeName | None, dependencies: bool
    ) -> Attempt[Package]:
        self.asked.append((requirements, dependencies))
        missing = [each for each in requirements if each not in self.has]
        if missing:
            return Attempt(refusal=f"nothing for {missing[0]}")
        names = [each.split(">")[0].split("=")[0] for each in requirements]
        return Attempt(
            tuple(
                Package(name, self.has[each])
                for name, each in zip(names, requirements, strict=True)
            )
        )


NUMPY = {"numpy>=1.21,<3": "2.1.0", "numpy>=1.21,<2": "1.26.4"}
LITERT = {"ai-edge-litert==2.3.0": "2.3.0", "ai-edge-litert>=1.0,<3": "2.1.0"}
OLDER = {"ai-edge-litert>=1.0,<3": "2.1.0"}
TFLITE = {"tflite-runtime>=2.11,<3": "2.14.0"}


def chosen(
    has: dict[str, str],
    facts: DeviceFacts = PI,
    wanted: Wanted = "auto",
    here: str = HERE,
) -> Choice[Package]:
    return choose(Plan.of(wanted, facts, litert_here=here), Index(has))


def test_litert_in_this_machine_s_version_comes_first() -> None:
    choice = chosen(NUMPY | LITERT | TFLITE)
    assert (choice.name, choice.version) == ("ai-edge-litert", "2.3.0")
    assert [wheel.name for wheel in choice.wheels] == ["ai-edge-litert", "numpy"]
    assert choice.reason == ("ai-edge-litert for Python 3.11 on aarch64, in this machine's version")


@pytest.mark.parametrize("here", [HERE, ""])
def test_litert_in_another_version_is_said(here: str) -> None:
    choice = chosen(NUMPY | OLDER | TFLITE, here=here)
    assert (choice.name, choice.version) == ("ai-edge-litert", "2.1.0")
    assert "another version" in choice.reason


def test_tflite_runtime_where_only_it_has_a_wheel() -> None:
    choice = chosen(NUMPY | TFLITE, PI_32)
    assert (choice.name, choice.version) == ("tflite-runtime", "2.14.0")
    assert {wheel.name: wheel.version for wheel in choice.wheels}["numpy"] == "1.26.4"
    assert "nothing for ai-edge-litert==2.3.0" in choice.reason


def test_tflite_runtime_with_the_device_s_own_numpy() -> None:
    index = Index(TFLITE)
    facts = DeviceFacts("armv7l", (3, 11), (2, 36), numpy="1.24.2")
    choice = choose(Plan.of("auto", facts, litert_here=HERE), index)
    assert choice.name == "tflite-runtime"
    assert [wheel.name for wheel in choice.wheels] == ["tflite-runtime"]
    assert index.asked[-1] == (("tflite-runtime>=2.11,<3",), False)
    assert "the device's own NumPy 1.24.2" in choice.reason


def test_tflite_runtime_is_never_paired_with_numpy_2() -> None:
    facts = DeviceFacts("armv7l", (3, 11), (2, 36), numpy="2.2.0")
    choice = chosen(TFLITE | {"numpy>=1.21,<3": "2.1.0"}, facts)
    assert choice.name == "native"
    assert choice.wheels == ()


def test_the_compiled_model_where_neither_has_a_wheel() -> None:
    choice = chosen(NUMPY)
    assert (choice.name, choice.version) == ("native", "")
    assert [wheel.name for wheel in choice.wheels] == ["numpy"]
    assert "the compiled model" in choice.reason
    assert "tflite-runtime" in choice.reason


def test_nothing_at_all_says_why_for_each() -> None:
    with pytest.raises(BundleError, match=r"ai-edge-litert.*tflite-runtime.*native") as caught:
        chosen({}, PI_32)
    assert "python3-numpy" in (caught.value.hint or "")


@pytest.mark.parametrize("wanted", ["ai-edge-litert", "tflite-runtime", "native"])
def test_what_the_target_asks_for_is_taken_or_refused(wanted: Wanted) -> None:
    choice = chosen(NUMPY | LITERT | TFLITE, wanted=wanted)
    assert choice.name == wanted
    assert "as the target asks" in choice.reason
    with pytest.raises(BundleError) as caught:
        chosen({}, wanted=wanted)
    assert wanted in (caught.value.where or "")


def test_extras_come_too_or_are_left_out() -> None:
    index = Index(NUMPY | LITERT | {"paho-mqtt>=1.6,<3": "2.1.0"})
    extras = ("sounddevice>=0.4.6,<1", "paho-mqtt>=1.6,<3")
    choice = choose(Plan.of("auto", PI, litert_here=HERE, extras=extras), index)
    assert [wheel.name for wheel in choice.wheels] == ["ai-edge-litert", "numpy", "paho-mqtt"]
    assert choice.left_out == ("sounddevice>=0.4.6,<1: nothing for sounddevice>=0.4.6,<1",)


@pytest.mark.parametrize(
    ("listen", "names"),
    [
        ((), []),
        (("--input", "alsa"), []),
        (("--input=arecord", "--mqtt=broker"), ["paho-mqtt"]),
        (("--input", "sounddevice"), ["sounddevice"]),
        (("--input=portaudio", "--mqtt=broker"), ["sounddevice", "paho-mqtt"]),
        (("--input", "-"), []),
        (("--mqtt", "broker", "--input", "/run/fifo"), ["paho-mqtt"]),
        (("--input",), []),
    ],
)
def test_what_listening_needs(listen: tuple[str, ...], names: list[str]) -> None:
    assert [each.split(">")[0] for each in extra_requirements(listen)] == names
