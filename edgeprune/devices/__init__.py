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
from edgeprune.devices.qemu import QemuDevice
from edgeprune.devices.session import ImageDevice, NetworkSession, StreamSession
from edgeprune.devices.ssh import SshDevice

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
    "ImageDevice",
    "NetworkSession",
    "Pcm",
    "QemuDevice",
    "Result",
    "Scores",
    "Session",
    "SshDevice",
    "StreamSession",
    "Work",
    "make_device",
    "open_device",
    "run_clips",
]
