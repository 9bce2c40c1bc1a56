"""Why a device runs what it runs: known before it is deployed, or only by the device."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgeprune.evaluation.linux import run_there
from edgeprune.progress import SilentProgress


@pytest.mark.parametrize(
    ("chosen", "reason"), [("", "resolved here"), ("installed there", "installed there")]
)
def test_the_device_s_own_reason_comes_first(chosen: str, reason: str) -> None:
    evaluated = SimpleNamespace(chosen=chosen)
    session = SimpleNamespace(
        where="pi",
        bench=SimpleNamespace,
        evaluate=lambda clips, progress: (np.zeros((1, 2), np.int8), evaluated),
        release=SimpleNamespace(runtime_choice=SimpleNamespace(reason="resolved here")),
        bundle_bytes=1,
    )
    device: Any = SimpleNamespace(open=lambda: nullcontext(session))
    clips: Any = SimpleNamespace(pcm=np.zeros((1, 4), np.int16))
    assert run_there(device, clips, SilentProgress()).reason == reason
