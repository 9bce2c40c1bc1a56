"""What the tables say."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from edgeprune.deployment.records import Rollback, Service

_TOLD: dict[str, Any] = {
    "kind": "systemd", "reason": "there", "release": "r1", "since": "now", "alive": True,
    "healthy": True, "detail": "waiting for a microphone: none", "age_s": 1.0, "more": "ignored",
}  # fmt: skip


@pytest.mark.parametrize(
    ("audio", "healthy", "warned"),
    [
        ("waiting", True, True),
        ("waiting", False, False),
        ("heard", True, False),
        (None, True, False),
    ],
)
def test_a_service_without_microphone_is_healthy_and_warned_of(
    audio: str | None, healthy: bool, warned: bool
) -> None:
    service = Service.of({**_TOLD, "audio": audio, "healthy": healthy})
    console = Console(width=120)
    with console.capture() as captured:
        console.print(Rollback("pi", "r1", None, service).table())
    assert ("as soon as a microphone is there" in captured.get()) is warned
    assert "waiting for a microphone: none" in captured.get()
