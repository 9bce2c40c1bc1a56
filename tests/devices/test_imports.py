from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
import edgeprune.devices, edgeprune.firmware
heavy = {"unicorn", "capstone", "elftools", "jinja2", "tensorflow", "librosa", "espeakng_loader"}
print(sorted(heavy & set(sys.modules)))
"""


def test_importing_loads_nothing_heavy():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
