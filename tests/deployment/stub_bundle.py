"""Bundles whose agent is a few lines: for tests of everything around it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from edgeprune.bundle import UNIT, Bundle
from edgeprune.bundle.manifest import seal
from edgeprune.bundle.signature import SigningKey
from edgeprune.bundle.unit import service_unit

ROOT = "edge prune's"

#: ``health`` and ``listen`` as the agent has them; a file of the bundle says how it fares.
_AGENT = """\
import json, os, sys, time
from pathlib import Path
bundle = Path(__file__).resolve().parent.parent
release = json.loads((bundle / "manifest.json").read_text())["release"]
fate = (bundle / "fate").read_text()
started = time.monotonic()
def now():
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return {"monotonic_s": time.monotonic(), "boot": boot}
def tell(healthy, detail):
    return {"kind": "health", "release": release, "pid": os.getpid(), "at": now(),
            "healthy": healthy, "detail": detail}
def audio():
    told = (bundle / "audio").read_text().split() if (bundle / "audio").exists() else [None]
    return told[0 if time.monotonic() < started + 0.5 else -1]
if sys.argv[1] == "health":
    if fate == "smoke":
        print(json.dumps({"kind": "error", "message": "another bit", "hint": "look"}))
        sys.exit(2)
    print(json.dumps({**tell(True, "answers the golden clip"), "runtime": "stub"}))
    sys.exit(0)
path = Path(sys.argv[sys.argv.index("--health-file") + 1])
print("arguments", sys.argv[1:], flush=True)
if fate == "crash":
    print(json.dumps({"kind": "error", "message": "no microphone", "hint": "plug one in"}))
    sys.exit(2)
if fate == "slow":
    time.sleep(1.5)
while True:
    if fate != "silent":
        part = path.with_suffix(".tmp")
        part.write_text(json.dumps({**tell(fate != "ill", "listening"), "audio": audio()}))
        part.replace(path)
    time.sleep(0.1)
"""


def stub_bundle(
    folder: Path,
    number: int = 1,
    *,
    fate: str = "well",
    root: str = ROOT,
    audio: str = "",
    files: dict[str, bytes] | None = None,
    key: SigningKey | None = None,
    **facts: object,
) -> Bundle:
    """Write a bundle.

    Args:
        folder: is made.
        number: tells its release from others; later ones are greater.
        fate: ``well``, ``smoke`` for a failing smoke test; of the service: ``ill``, ``silent``,
            ``slow``, or ``crash``.
        audio: what the service's health says of it; at first, and then.
        root: on the device.
        files: further ones.
        key: signs it.
        facts: of its manifest.
    """
    content = {
        "agent/run.py": _AGENT.encode(),
        "fate": fate.encode(),
        "number": str(number).encode(),
        "model.tflite": bytes(range(256)) * 40,
        "site/it's a [name] 'n \\ more.py": b"x = 1\n",
        "lib/empty": b"",
        UNIT: service_unit(root, description="a stub", listen=("--input", 'a b$c%d"e')).encode(),
        **({"audio": audio.encode()} if audio else {}),
        **(files or {}),
    }
    for name, data in content.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    made = datetime(2025, 3, 1, 12, number // 60, number % 60, tzinfo=UTC)
    return seal(folder, {"recipe": "stub", "runtime": "stub", **facts}, made=made, key=key)
