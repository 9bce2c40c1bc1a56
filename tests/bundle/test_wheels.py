"""What is asked of pip, and what is made of its answers; pip itself only where it is marked."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from edgeprune.bundle.facts import DeviceFacts
from edgeprune.bundle.unpacking import unpack
from edgeprune.bundle.wheels import Wheel, download, platform_tags
from edgeprune.errors import BundleError

PI = DeviceFacts("aarch64", (3, 11), (2, 36))
PI_32 = DeviceFacts("armv7l", (3, 9), (2, 31))

NO_SUCH = """\
ERROR: Could not find a version that satisfies the requirement thing==9 (from versions: 1, 2)
ERROR: No matching distribution found for thing==9
"""
NO_NETWORK = """\
WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by 'NewConnectionError'
ERROR: Could not find a version that satisfies the requirement thing (from versions: none)
ERROR: No matching distribution found for thing
"""


def fake_pip(folder: Path, *, says: str = "", code: int = 0, leaves: tuple[str, ...] = ()) -> list:
    """A program that notes its arguments, writes files and ends as it is told."""
    script = folder / "pip.py"
    script.write_text(
        "import json, pathlib, sys\n"
        f"pathlib.Path({str(folder / 'asked.json')!r}).write_text(json.dumps(sys.argv[1:]))\n"
        "(dest,) = [each[7:] for each in sys.argv if each.startswith('--dest=')]\n"
        f"for name in {leaves!r}:\n"
        "    pathlib.Path(dest, name).write_bytes(name.encode())\n"
        f"sys.stderr.write({says!r})\n"
        f"sys.exit({code})\n"
    )
    return [sys.executable, str(script)]


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    return folder


def test_pip_is_asked_for_the_device_s_wheels_alone(tmp_path: Path, wheels: Path) -> None:
    pip = fake_pip(tmp_path, leaves=("Some_Thing-1.5-py3-none-any.whl", "a-2-cp311-x-y.whl"))
    attempt = download(("some-thing<2", "a"), PI, wheels, pip=pip)
    asked = json.loads((tmp_path / "asked.json").read_text())
    assert asked[0] == "download"
    assert asked[-2:] == ["some-thing<2", "a"]
    assert {"--only-binary=:all:", "--implementation=cp", "--python-version=3.11"} <= set(asked)
    assert "--platform=manylinux_2_36_aarch64" in asked
    assert "--platform=manylinux2014_aarch64" in asked
    assert not any("2_37" in each or "no-deps" in each or "index" in each for each in asked)
    assert [(wheel.name, wheel.version) for wheel in attempt.wheels] == [
        ("a", "2"),
        ("some-thing", "1.5"),
    ]


def test_a_32_bit_pi_is_also_asked_of_piwheels(tmp_path: Path, wheels: Path) -> None:
    pip = fake_pip(tmp_path, leaves=("a-2-cp39-cp39-linux_armv7l.whl",))
    download(("a",), PI_32, wheels, dependencies=False, pip=pip)
    asked = json.loads((tmp_path / "asked.json").read_text())
    assert "--extra-index-url=https://www.piwheels.org/simple" in asked
    assert "--no-deps" in asked
    assert platform_tags(PI_32)[0] == "manylinux_2_31_armv7l"
    assert platform_tags(PI_32)[-1] == "linux_armv7l"


def test_no_such_wheel_is_an_answer(tmp_path: Path, wheels: Path) -> None:
    attempt = download(("thing==9",), PI, wheels, pip=fake_pip(tmp_path, says=NO_SUCH, code=1))
    assert attempt.wheels == ()
    assert attempt.refusal == "No matching distribution found for thing==9"


def test_without_a_network_nothing_is_concluded(tmp_path: Path, wheels: Path) -> None:
    with pytest.raises(BundleError, match="can't reach its index for thing") as caught:
        download(("thing",), PI, wheels, pip=fake_pip(tmp_path, says=NO_NETWORK, code=1))
    assert "network" in (caught.value.hint or "")


def test_any_other_failure_says_what_pip_said(tmp_path: Path, wheels: Path) -> None:
    pip = fake_pip(tmp_path, says="ERROR: No space left on device\n", code=1)
    with pytest.raises(BundleError, match="can't download thing: No space left on device"):
        download(("thing",), PI, wheels, pip=pip)
    with pytest.raises(BundleError, match="No module named pip") as caught:
        download(("thing",), PI, wheels, pip=[sys.executable, "-m", "pip_of_another_world"])
    assert caught.value.hint == "python -m ensurepip"
    with pytest.raises(BundleError, match="can't be run"):
        download(("thing",), PI, wheels, pip=[str(tmp_path / "absent")])


def test_pip_that_leaves_nothing_or_something_else(tmp_path: Path, wheels: Path) -> None:
    with pytest.raises(BundleError, match="and did not"):
        download(("thing",), PI, wheels, pip=fake_pip(tmp_path))
    with pytest.raises(BundleError, match="not named like a wheel"):
        download(("thing",), PI, wheels, pip=fake_pip(tmp_path, leaves=("nonsense.whl",)))


def test_a_c_library_that_no_wheels_are_made_for() -> None:
    with pytest.raises(BundleError, match=r"no wheels for glibc 2\.12"):
        platform_tags(DeviceFacts("aarch64", (3, 9), (2, 12)))


@pytest.mark.slow
def test_real_wheels_of_a_real_index(wheels: Path, tmp_path: Path) -> None:
    try:
        attempt = download(("flatbuffers>=24", "numpy<2"), PI, wheels)
    except BundleError as error:
        if "can't reach its index" in str(error):
            pytest.skip(str(error))
        raise
    names = {wheel.name for wheel in attempt.wheels}
    assert names == {"flatbuffers", "numpy"}
    for wheel in attempt.wheels:
        assert Wheel.of(wheel.path) == wheel
        unpack(wheel.path, tmp_path / "site")
    (core,) = (tmp_path / "site/numpy/core").glob("_multiarray_umath*.so")
    assert core.name == "_multiarray_umath.cpython-311-aarch64-linux-gnu.so"
    assert download(("tflite-runtime==0.0.1",), PI, wheels).refusal
