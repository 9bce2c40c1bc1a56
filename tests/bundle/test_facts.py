"""What a device says of itself, and whether a bundle can be made for it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from edgeprune.bundle.facts import PROBE, DeviceFacts
from edgeprune.errors import BundleError

TOLD = {
    "machine": "aarch64",
    "bits": 64,
    "implementation": "CPython",
    "python": [3, 11],
    "libc": "glibc 2.36",
    "numpy": "",
}


def told(**changes: Any) -> str:
    return json.dumps(TOLD | changes) + "\n"


def test_this_machine_answers_the_probe() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROBE], stdout=subprocess.PIPE, text=True, check=True
    )
    facts = DeviceFacts.parse(done.stdout)
    assert facts.python == sys.version_info[:2]
    assert facts.numpy[0] in "12"
    assert facts.libc >= (2, 17)


def test_a_device_is_what_it_says() -> None:
    facts = DeviceFacts.parse(told(numpy="1.24.2"))
    assert facts == DeviceFacts("aarch64", (3, 11), (2, 36), "1.24.2")
    assert facts.json() == {
        "machine": "aarch64",
        "python": "3.11",
        "libc": "2.36",
        "numpy": "1.24.2",
    }
    facts.check("aarch64", where="target pi")


def test_programs_of_32_bits_below_a_64_bit_kernel() -> None:
    facts = DeviceFacts.parse(told(bits=32))
    assert facts.machine == "armv7l"
    facts.check("armv7", where="target pi")
    with pytest.raises(BundleError, match="armv7l, the target's core is aarch64") as caught:
        facts.check("aarch64", where="target pi")
    assert "core = 'armv7'" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "does not say what it is"),
        ("bash: python3: command not found", "command not found"),
        ('{"machine": "aarch64"}', "does not say what it is"),
        ("[1, 2]", "does not say what it is"),
        (told(python=[3]), "does not say what it is"),
        (told(python="3.11"), "does not say what it is"),
        (told(implementation="PyPy"), "is PyPy; CPython is needed"),
        (told(libc=""), "another C library"),
        (told(libc="musl 1.2.4"), "another C library"),
    ],
)
def test_what_no_bundle_can_be_made_for(text: str, says: str) -> None:
    with pytest.raises(BundleError, match=says):
        DeviceFacts.parse(text)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"python": [3, 8]}, r"Python 3\.8; 3\.9 or newer"),
        ({"libc": "glibc 2.27"}, r"glibc 2\.27; 2\.28 or newer"),
        ({"machine": "riscv64"}, "riscv64, the target's core is aarch64"),
    ],
)
def test_a_device_that_is_too_old_or_another(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(BundleError, match=says) as caught:
        DeviceFacts.parse(told(**changes)).check("aarch64", where="target pi")
    assert caught.value.where == "target pi"


def test_the_oldest_device_is_taken() -> None:
    facts = DeviceFacts.parse(told(python=[3, 9], libc="glibc 2.28"))
    facts.check("aarch64", where="")
    assert DeviceFacts.expected("armv7").machine == "armv7l"
