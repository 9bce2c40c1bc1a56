#!/usr/bin/env python3
"""Stands in for qemu-img: a disk is a list of the names of its snapshots."""

from __future__ import annotations

import json
import sys
from pathlib import Path

disk = Path(sys.argv[-1])
if sys.argv[1] == "create":
    disk.write_text("")
else:
    print(json.dumps({"snapshots": [{"name": name} for name in disk.read_text().split()]}))
