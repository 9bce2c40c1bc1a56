"""From a target to the device that it names."""

from __future__ import annotations

from edgeprune.devices.base import Device, Session
from edgeprune.devices.emulator import EmulatorDevice
from edgeprune.devices.host import HostDevice, HostFrontend, HostRunner
from edgeprune.devices.qemu import QemuDevice
from edgeprune.devices.ssh import SshDevice
from edgeprune.errors import DeviceError
from edgeprune.firmware import Image
from edgeprune.target import Target

__all__ = ["make_device", "open_device"]


def make_device(
    target: Target,
    *,
    image: Image | None = None,
    program: HostRunner | None = None,
    frontend: HostFrontend | None = None,
) -> Device:
    """The device of a target.

    Args:
        target: names the device.
        image: what the emulator or QEMU runs.
        program: what the host runs.
        frontend: the front-end that the program was built with.

    Raises:
        DeviceError: what the device runs was not given; over SSH, it is what was deployed.
    """
    if target.device == "ssh":
        return SshDevice(target.name, target.core, target.ssh_table())
    if target.device == "host":
        if program is None or frontend is None:
            raise DeviceError("needs a host program and its front-end", where=target.name)
        return HostDevice(target.name, program, frontend)
    if image is None or target.memory is None:
        raise DeviceError("needs an image and the sizes of the memories", where=target.name)
    kind = QemuDevice if target.device == "qemu" else EmulatorDevice
    return kind(target.name, image.elf, target.core, target.memory, image.manifest)


def open_device(
    target: Target,
    *,
    image: Image | None = None,
    program: HostRunner | None = None,
    frontend: HostFrontend | None = None,
) -> Session:
    """The device of a target, opened; see :func:`make_device` and ``Device.open``."""
    return make_device(target, image=image, program=program, frontend=frontend).open()
