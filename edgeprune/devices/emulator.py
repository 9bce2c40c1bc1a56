"""The emulator: a firmware image on Unicorn, with exact instruction counts and layer traces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from edgeprune.codegen.manifest import Manifest
from edgeprune.cores import CoreName
from edgeprune.devices.base import (
    Closing,
    Cost,
    DeviceInfo,
    Features,
    Pcm,
    Result,
    Scores,
    check_identity,
    checked_clip,
    checked_features,
)
from edgeprune.devices.mailbox import SYMBOL, Command, FirmwareInfo, Mailbox
from edgeprune.errors import DeviceError, DeviceFault, DeviceTimeout, IdentityError
from edgeprune.firmware.elf import Elf
from edgeprune.target import Memory

if TYPE_CHECKING:
    from edgeprune.devices.counting import Profile
    from edgeprune.devices.machine import Machine

__all__ = ["ClipProfile", "EmulatorDevice", "EmulatorSession"]

#: What start-up paints the unused stack with (protocol.h).
STACK_PATTERN = 0x5AFE57AC

_T = TypeVar("_T")


@dataclass(frozen=True)
class EmulatorDevice:
    """An image and the core to emulate.

    Attributes:
        name: how reports and errors call it.
        elf: the image.
        core: the core.
        memory: origins and sizes.
        manifest: of the program that the image was built from.
        timeout_s: wall-clock limit of one request, in seconds.
    """

    name: str
    elf: Path
    core: CoreName
    memory: Memory
    manifest: Manifest
    timeout_s: float = 60.0

    def open(self) -> EmulatorSession:
        """Load the image and boot it.

        Raises:
            ImageError: the image can't be read or does not lie in this memory.
            IdentityError: it is not the image of this program.
            DeviceFault: it crashed while booting.
            DeviceTimeout: it did not boot in time.
        """
        return EmulatorSession(self)


@dataclass(frozen=True, eq=False)
class ClipProfile:
    """A clip's scores, int8 [labels], and where its instructions went.

    Attributes:
        scores: the same as without counting.
        frontend_frame: the push that completes the last frame.
        inference: from the full clip window to the scores.
        stack_bytes: deepest stack of the clip.
    """

    scores: Scores
    frontend_frame: Profile
    inference: Profile
    stack_bytes: int

    @property
    def cost(self) -> Cost:
        """The sums alone."""
        return Cost(self.frontend_frame.work, self.inference.work, self.stack_bytes)


class EmulatorSession(Closing):
    """A booted image. A crash or a time-out ends the session."""

    def __init__(self, device: EmulatorDevice) -> None:
        """Boot ``device``; see :meth:`EmulatorDevice.open`."""
        from edgeprune.devices.instructions import Decoder
        from edgeprune.devices.machine import Machine

        self._device = device
        self._where = device.name
        self._elf = Elf(device.elf)
        bottom, top = (self._elf.symbol(f"edgeprune_stack_{end}") for end in ("bottom", "top"))
        self._stack = (bottom.address, top.address)
        machine = Machine(
            self._elf, device.core, device.memory, where=device.name, timeout_s=device.timeout_s
        )
        machine.boot()
        self._machine: Machine | None = machine
        self._decoder = Decoder(machine.read)
        mailbox = self._elf.symbol(SYMBOL)
        self._mailbox = Mailbox(machine, mailbox.address, mailbox.size, where=device.name)
        self._firmware = self._mailbox.info()
        self._check()

    def info(self) -> DeviceInfo:
        """What runs on the emulated core."""
        return DeviceInfo(
            device=self._device.name,
            core=self._device.core,
            clip_samples=self._firmware.clip_samples,
            frames=self._firmware.frames,
            features=self._firmware.features,
            fraction_bits=self._firmware.fraction_bits,
            labels=self._device.manifest.labels,
            frontend_identity=self._mailbox.frontend_identity,
            model_identity=self._mailbox.model_identity,
        )

    def infer_pcm(self, clip: Pcm, *, measure: bool = False, identity: str | None = None) -> Result:
        """See :meth:`edgeprune.devices.base.Session.infer_pcm`."""
        check_identity(identity, self._mailbox.frontend_identity, where=self._where)
        if measure:
            profile = self.profile(clip)
            return Result(profile.scores, profile.cost)
        self._push_clip(clip)
        return Result(self._infer())

    def infer_features(self, features: Features, identity: str, *, measure: bool = False) -> Result:
        """See :meth:`edgeprune.devices.base.Session.infer_features`; the firmware refuses."""
        shape = (self._firmware.frames, self._firmware.features)
        rows = checked_features(features, shape, where=self._where)
        if measure:
            self._paint_stack()
        self._request(Command.RESET)
        for row in rows:
            self._request(Command.FEATURES, row.astype("<i2").tobytes(), identity=identity)
        if not measure:
            return Result(self._infer())
        scores, inference = self._counted(self._infer)
        return Result(scores, Cost(inference=inference.work, stack_bytes=self._stack_bytes()))

    def frontend_pcm(self, clip: Pcm) -> Features:
        """See :meth:`edgeprune.devices.base.Session.frontend_pcm`."""
        firmware = self._firmware
        samples = checked_clip(clip, firmware.clip_samples, where=self._where)
        frames = np.empty((firmware.frames, firmware.features), np.int16)
        self._request(Command.RESET)
        done = 0
        for index in range(firmware.frames):
            end = _frame_end(firmware, index)
            self._push(samples[done:end])
            done = end
            frames[index] = np.frombuffer(self._request(Command.READ_FRAME), "<i2")
        return frames

    def profile(self, clip: Pcm) -> ClipProfile:
        """Infer a clip, counting the last front-end frame and the inference.

        Both counts are of whole requests: they include the mailbox's dispatch and the breakpoint,
        some tens of instructions.

        Args:
            clip: int16 [clip_samples].

        Raises:
            DeviceError: the clip has another type or length.
        """
        firmware = self._firmware
        samples = checked_clip(clip, firmware.clip_samples, where=self._where)
        end = _frame_end(firmware, firmware.frames - 1)
        start = end - min(firmware.hop_samples, end)
        self._paint_stack()
        self._request(Command.RESET)
        self._push(samples[:start])
        _, frame = self._counted(lambda: self._push(samples[start:end]))
        self._push(samples[end:])
        scores, inference = self._counted(self._infer)
        return ClipProfile(scores, frame, inference, self._stack_bytes())

    def trace(self, clip: Pcm) -> list[bytes]:
        """Every layer's output while a clip is inferred, in the order of execution.

        Each is read from the arena when its layer returns, so it is what the layer wrote.

        Args:
            clip: int16 [clip_samples].

        Raises:
            DeviceError: a layer has no function of its own in the image, or the clip has another
                type or length.
        """
        from edgeprune.devices.counting import BlockCounter, layer_entries

        machine = self._running()
        layers = self._device.manifest.layers
        entries = layer_entries(self._elf, layers)
        for layer in layers:
            if layer.index not in entries.values():
                raise DeviceError(
                    f"layer {layer.index} ({layer.op}, {layer.name}) has no function "
                    f"{layer.symbol} of its own in the image",
                    where=self._where,
                    hint="keep the compiler from merging or inlining the layers' functions",
                )
        regions = {layer.index: layer.output for layer in layers}
        outputs: dict[int, bytes] = {}

        def keep(index: int) -> None:
            address = self._firmware.arena_address + regions[index].offset
            outputs[index] = machine.read(address, regions[index].size)

        self._push_clip(clip)
        with machine.watch(BlockCounter(entries, lambda: machine.register("lr"), keep)):
            self._infer()
        return [outputs[layer.index] for layer in layers]

    def close(self) -> None:
        """Free the emulator."""
        self._machine = None

    def _check(self) -> None:
        """Refuse an image of another program than the manifest's."""
        manifest, firmware = self._device.manifest, self._firmware
        for what, found, wanted in (
            ("front-end", self._mailbox.frontend_identity, manifest.frontend_identity),
            ("model", self._mailbox.model_identity, manifest.identity),
        ):
            if found != wanted:
                raise IdentityError(
                    f"the image has {what} {found}, the program has {what} {wanted}",
                    where=self._where,
                    hint="build the image again from this program",
                )
        if manifest.labels and firmware.labels != len(manifest.labels):
            raise DeviceError(
                f"the image gives {firmware.labels} scores, the program has "
                f"{len(manifest.labels)} labels",
                where=self._where,
                hint="build the image again from this program",
            )

    def _running(self) -> Machine:
        if self._machine is None:
            raise DeviceError(
                "the session is closed, or ended with a crash",
                where=self._where,
                hint="open the device again",
            )
        return self._machine

    def _request(
        self, command: Command, payload: bytes = b"", *, identity: str | None = None
    ) -> bytes:
        self._running()
        try:
            return self._mailbox.request(command, payload, identity=identity)
        except (DeviceFault, DeviceTimeout):
            self.close()
            raise

    def _push_clip(self, clip: Pcm) -> None:
        samples = checked_clip(clip, self._firmware.clip_samples, where=self._where)
        self._request(Command.RESET)
        self._push(samples)

    def _push(self, samples: Pcm) -> None:
        most = self._mailbox.capacity // 2
        for start in range(0, len(samples), most):
            self._request(Command.PCM, samples[start : start + most].astype("<i2").tobytes())

    def _infer(self) -> Scores:
        return np.frombuffer(self._request(Command.INFER), np.int8).copy()

    def _counted(self, work: Callable[[], _T]) -> tuple[_T, Profile]:
        from edgeprune.devices.counting import Analysis, BlockCounter, layer_entries

        machine = self._running()
        layers = self._device.manifest.layers
        counter = BlockCounter(layer_entries(self._elf, layers), lambda: machine.register("lr"))
        with machine.watch(counter):
            result = work()
        analysis = Analysis(self._elf, self._device.core, layers, self._decoder)
        return result, analysis.profile(counter)

    def _paint_stack(self) -> None:
        """Forget how deep the stack has been, so that the next reading is of one clip alone."""
        machine = self._running()
        words = (machine.register("sp") - self._stack[0]) // 4
        machine.write(self._stack[0], STACK_PATTERN.to_bytes(4, "little") * words)

    def _stack_bytes(self) -> int:
        """Deepest stack since it was painted: from its top to the lowest word that changed."""
        bottom, top = self._stack
        words = np.frombuffer(self._running().read(bottom, top - bottom), "<u4")
        used = np.flatnonzero(words != STACK_PATTERN)
        return top - bottom - 4 * int(used[0]) if len(used) else 0


def _frame_end(firmware: FirmwareInfo, index: int) -> int:
    """Samples after which a frame is complete."""
    return firmware.window_samples + index * firmware.hop_samples
