"""QEMU: a firmware image on an emulated board, with exact instruction counts by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeprune.devices.session import ImageDevice
from edgeprune.firmware.elf import Elf

if TYPE_CHECKING:
    from edgeprune.devices.qemu_machine import QemuMachine

__all__ = ["QemuDevice"]


@dataclass(frozen=True)
class QemuDevice(ImageDevice):
    """An image on the board of its core (:data:`edgeprune.cores.CORES`)."""

    def board(self, elf: Elf) -> QemuMachine:
        """See :meth:`ImageDevice.board`."""
        from edgeprune.devices.qemu_machine import QemuMachine

        return QemuMachine(elf, self.core, self.memory, where=self.name, timeout_s=self.timeout_s)
