"""The emulator: a firmware image on Unicorn, with exact instruction counts and layer traces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeprune.devices.session import ClipProfile, ImageDevice, StreamSession
from edgeprune.firmware.elf import Elf

if TYPE_CHECKING:
    from edgeprune.devices.machine import Machine

__all__ = ["ClipProfile", "EmulatorDevice", "EmulatorSession"]

#: What :meth:`EmulatorDevice.open` gives.
EmulatorSession = StreamSession


@dataclass(frozen=True)
class EmulatorDevice(ImageDevice):
    """An image on an emulated core."""

    def board(self, elf: Elf) -> Machine:
        """See :meth:`ImageDevice.board`."""
        from edgeprune.devices.machine import Machine

        return Machine(elf, self.core, self.memory, where=self.name, timeout_s=self.timeout_s)
