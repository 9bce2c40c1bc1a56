"""Bundles whose packages the device is to install by itself, and an index for its pip."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from edgeprune import agent
from edgeprune.bundle import UNIT, Bundle, DeviceFacts
from edgeprune.bundle.manifest import seal
from edgeprune.bundle.runtime import Plan, Wanted
from edgeprune.bundle.signature import SigningKey
from edgeprune.bundle.unit import service_unit
from tests.bundle.wheel_files import write_wheel
from tests.deployment.stub_bundle import ROOT

LITERT = "9.1.0"
FACTS = DeviceFacts("x86_64", (3, 11), (2, 36))

#: The agent's own way to packages, with which a stub then infers.
_RUN = """\
import importlib, json, os, sys, time
from pathlib import Path
bundle = Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(bundle / "agent"))
from edgeprune_agent.bundle import open_bundle
from edgeprune_agent.errors import AgentError
from edgeprune_agent.main import main
if sys.argv[1] == "version":
    sys.exit(main(sys.argv[1:], bundle))
try:
    opened = open_bundle(bundle)
    opened.put_on_import_path()
except AgentError as error:
    print(json.dumps(error.line()))
    sys.exit(2)
import numpy
site = opened.packages.site if opened.packages else bundle / "site"
for name, module in (("ai-edge-litert", "ai_edge_litert"), ("tflite-runtime", "tflite_runtime")):
    if (site / module).is_dir():
        loaded = importlib.import_module(module + ".interpreter")
        loaded.Interpreter(model_path=str(bundle / "model.tflite"), num_threads=1)
        break
else:
    name = "native"
def tell():
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return {"kind": "health", "release": opened.release, "pid": os.getpid(), "healthy": True,
            "detail": "numpy " + numpy.__version__, "runtime": name,
            "at": {"monotonic_s": time.monotonic(), "boot": boot}}
if sys.argv[1] == "health":
    print(json.dumps(tell()))
    sys.exit(0)
path = Path(sys.argv[sys.argv.index("--health-file") + 1])
while True:
    part = path.with_suffix(".tmp")
    part.write_text(json.dumps(tell()))
    part.replace(path)
    time.sleep(0.1)
"""

_INTERPRETER = """\
class Interpreter:
    def __init__(self, model_path, num_threads):
        open(model_path, "rb").close()
        {constructing}
    def allocate_tensors(self):
        pass
"""


def online_bundle(
    folder: Path,
    number: int = 1,
    *,
    wanted: Wanted = "auto",
    extras: tuple[str, ...] = (),
    root: str = ROOT,
    key: SigningKey | None = None,
) -> Bundle:
    """Write a bundle with a plan for the device's pip."""
    plan = Plan.of(wanted, FACTS, litert_here=LITERT, extras=extras)
    content = {
        **agent.sources(),
        "agent/run.py": _RUN.encode(),
        "number": str(number).encode(),
        "model.tflite": b"a model",
        UNIT: service_unit(root, description="a stub", listen=()).encode(),
    }
    for name, data in content.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    made = datetime(2025, 3, 1, 12, number // 60, number % 60, tzinfo=UTC)
    packages = {"digest": plan.digest, **plan.json()}
    facts = {"recipe": "stub", "runtime": "auto", "packages": packages}
    return seal(folder, facts, made=made, key=key)


def add_runtime(
    index: Path, name: str, version: str = LITERT, *, constructing: str = "pass", bytes_: int = 0
) -> Path:
    """Put a runtime's wheel into an index."""
    module = name.replace("-", "_")
    return add_wheel(
        index,
        name,
        version,
        {
            f"{module}/__init__.py": b"",
            f"{module}/weight.so": bytes(bytes_),
            f"{module}/interpreter.py": _INTERPRETER.format(constructing=constructing).encode(),
        },
    )


def add_numpy(index: Path, version: str = "2.1.0") -> Path:
    """Put something called numpy into an index."""
    return add_wheel(
        index, "numpy", version, {"numpy/__init__.py": f"__version__ = {version!r}\n".encode()}
    )


def add_wheel(index: Path, name: str, version: str, files: dict[str, bytes]) -> Path:
    """Put a wheel that pip takes into an index."""
    module = name.replace("-", "_")
    wheel = b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files = {**files, f"{module}-{version}.dist-info/WHEEL": wheel}
    return write_wheel(index, files, name=module, version=version)


def set_pip(home: Path, *, find_links: str = "", index: str = "") -> None:
    """Write the settings of the device's pip, as its owner would."""
    lines = ["[global]", "user = true"]
    lines += ["no-index = true", f"find-links = {find_links}"] if find_links else []
    lines += [f"index-url = {index}"] if index else []
    path = home / ".config" / "pip" / "pip.conf"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")


#: ``python3 -m pip install`` of wheels in a folder, in a tenth of pip's time.
QUICK_PIP = """\
import pathlib, re, sys, zipfile
index = pathlib.Path({index!r})
def versions(requirement):
    name, limits = re.fullmatch(r"([\\w-]+)(.*)", requirement).groups()
    found = []
    for path in sorted(index.glob(name.replace("-", "_") + "-*.whl")):
        version = path.name.split("-")[1]
        below = re.search(r"<(\\d+)", limits)
        exact = re.search(r"==(.*)", limits)
        if not (below and int(version.split(".")[0]) >= int(below[1])) and (
            not exact or exact[1] == version
        ):
            found.append(path)
    return found
target = next(each[9:] for each in sys.argv if each.startswith("--target="))
wanted = [each for each in sys.argv[2:] if not each.startswith("-")]
for each in wanted:
    if not versions(each):
        sys.exit("ERROR: No matching distribution found for " + each)
for each in wanted:
    zipfile.ZipFile(versions(each)[-1]).extractall(target)
"""


def stand_in(home: Path, program: str) -> Path:
    """Write another program in pip's place: a folder for the device's PYTHONPATH."""
    folder = home / "modules"
    folder.mkdir(exist_ok=True)
    (folder / "pip.py").write_text(program, encoding="utf-8")
    return folder


#: The same, in a second and a half, and in many small steps on the disk.
SLOW_PIP = (
    QUICK_PIP.replace("import pathlib, re, sys, zipfile", "import pathlib, re, sys, time, zipfile")
    .replace("\ntarget =", "\ntime.sleep(0.4)\ntarget =")
    .replace(
        "    zipfile.ZipFile(versions(each)[-1]).extractall(target)\n",
        "    archive = zipfile.ZipFile(versions(each)[-1])\n"
        "    for name in archive.namelist():\n"
        "        archive.extract(name, target)\n"
        "        time.sleep(0.1)\n",
    )
)
