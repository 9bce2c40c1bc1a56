"""Where images and programs run, behind one interface. Importing it loads no emulator."""

from __future__ import annotations

from edgeprune.devices.base import (
    BatchSession,
    Cost,
    Device,
    DeviceInfo,
    Features,
    Pcm,
    Result,
    Scores,
    Session,
    Work,
)
from edgeprune.devices.emulator import ClipProfile, EmulatorDevice, EmulatorSession
from edgeprune.devices.factory import make_device, open_device
from edgeprune.devices.fake import FakeDevice
from edgeprune.devices.host import HostDevice
from edgeprune.devices.pool import run_clips

__all__ = [
    "BatchSession",
    "ClipProfile",
    "Cost",
    "Device",
    "DeviceInfo",
    "EmulatorDevice",
    "EmulatorSession",
    "FakeDevice",
    "Features",
    "HostDevice",
    "Pcm",
    "Result",
    "Scores",
    "Session",
    "Work",
    "make_device",
    "open_device",
    "run_clips",
]
