"""A booted firmware image: requests to it, what they cost, and what its layers compute.

What runs the image is a :class:`Board`: Unicorn or QEMU, and any probe that can read and write
memory and run to a breakpoint.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeprune.closing import Closing
from edgeprune.codegen.manifest import Layer, Manifest
from edgeprune.cores import CoreName
from edgeprune.devices.base import (
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
from edgeprune.devices.mailbox import SYMBOL, Command, FirmwareInfo, Halted, Mailbox
from edgeprune.errors import DeviceError, DeviceFault, DeviceTimeout, IdentityError
from edgeprune.firmware.elf import NO_FRONTEND, Elf
from edgeprune.target import Memory

if TYPE_CHECKING:
    from edgeprune.devices.counting import Profile

__all__ = [
    "Board",
    "ClipProfile",
    "ImageDevice",
    "ImageSession",
    "NetworkProfile",
    "NetworkSession",
    "StreamSession",
]

#: What start-up paints the unused stack with (protocol.h).
STACK_PATTERN = 0x5AFE57AC
#: The network of an image without a front-end (model/main.c).
NETWORK_SYMBOL = "edgeprune_network"

_T = TypeVar("_T")


class Board(Halted, Protocol):
    """A core with an image in its memory, halted except while it runs to the next stop."""

    def boot(self) -> None:
        """Start at the reset vector and run to the ready stop.

        Raises:
            DeviceFault: the firmware crashed.
            DeviceTimeout: it did not get there in time.
        """

    def register(self, name: str) -> int:
        """The value of ``r0`` … ``r12``, ``sp``, ``lr`` or ``pc``."""

    def counted(self, work: Callable[[], _T], layers: Sequence[Layer]) -> tuple[_T, Profile]:
        """Do ``work``, which resumes the core, and count what the core executes.

        A board that can't tell layers and functions apart gives their sum alone.
        """

    def watched(
        self, work: Callable[[], object], layers: Sequence[Layer], leave: Callable[[int], None]
    ) -> None:
        """Do ``work``, and call ``leave`` with a layer's index when its function returns.

        Raises:
            DeviceError: the board can't, or a layer has no function of its own.
        """

    def close(self) -> None:
        """Let go of the core; closing twice does nothing."""


@dataclass(frozen=True)
class ImageDevice:
    """An image and what it runs on.

    Attributes:
        name: how reports and errors call it.
        elf: the image.
        core: the core.
        memory: origins and sizes.
        manifest: of the program that the image was built from.
        timeout_s: wall-clock limit of one request, in seconds.
        level: the operating point that sessions begin at; 0 is the full network.
    """

    name: str
    elf: Path
    core: CoreName
    memory: Memory
    manifest: Manifest
    timeout_s: float = 60.0
    level: int = 0

    @abstractmethod
    def board(self, elf: Elf) -> Board:
        """A core with the image in its memory, not booted yet."""

    def open(self) -> StreamSession:
        """Load an image with a front-end and boot it.

        Raises:
            ImageError: the image can't be read or does not lie in this memory.
            IdentityError: it is not the image of this program.
            DeviceFault: it crashed while booting.
            DeviceTimeout: it did not boot in time.
        """
        return StreamSession(self)

    def open_network(self) -> NetworkSession:
        """Load an image of a network alone and boot it; raises what :meth:`open` does."""
        return NetworkSession(self)


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


@dataclass(frozen=True, eq=False)
class NetworkProfile:
    """One inference of a network: its output, and where its instructions went.

    Attributes:
        output: ``[values]`` of the output's type, the same as without counting.
        inference: the request, some tens of instructions of dispatch included.
        stack_bytes: deepest stack.
    """

    output: NDArray[Any]
    inference: Profile
    stack_bytes: int


class ImageSession(Closing):
    """A booted image. A crash or a time-out ends the session."""

    def __init__(self, device: ImageDevice) -> None:
        """Boot ``device``; see :meth:`ImageDevice.open`."""
        self._device = device
        self._where = device.name
        self._elf = Elf(device.elf)
        bottom, top = (self._elf.symbol(f"edgeprune_stack_{end}") for end in ("bottom", "top"))
        self._stack = (bottom.address, top.address)
        board = device.board(self._elf)
        self._board: Board | None = board
        try:
            board.boot()
            mailbox = self._elf.symbol(SYMBOL)
            self._mailbox = Mailbox(board, mailbox.address, mailbox.size, where=device.name)
            self._check_identity()
            self._level = 0
            if device.level:
                self.set_level(device.level)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the core."""
        if self._board is not None:
            self._board.close()
            self._board = None

    def _check_identity(self) -> None:
        """Refuse an image of another program than the manifest's."""
        manifest = self._device.manifest
        for what, found, wanted in (
            ("front-end", self._mailbox.frontend_identity, manifest.frontend_identity),
            ("model", self._mailbox.model_identity, manifest.identity),
        ):
            if found != (wanted or NO_FRONTEND):
                raise IdentityError(
                    f"the image has {what} {found}, the program has {what} {wanted}",
                    where=self._where,
                    hint="build the image again from this program",
                )

    def set_level(self, level: int) -> None:
        """Set the operating point of the inferences that follow; 0 is the full network.

        Raises:
            ModelError: the program has no such level.
        """
        self._device.manifest.layers_of(level)
        self._running()
        if self._device.manifest.levels:
            self._mailbox.set_level(level)
        self._level = level

    @property
    def _layers(self) -> tuple[Layer, ...]:
        return self._device.manifest.layers_of(self._level)

    def _running(self) -> Board:
        if self._board is None:
            raise DeviceError(
                "the session is closed, or ended with a crash",
                where=self._where,
                hint="open the device again",
            )
        return self._board

    def _request(
        self, command: Command, payload: bytes = b"", *, identity: str | None = None
    ) -> bytes:
        self._running()
        try:
            return self._mailbox.request(command, payload, identity=identity)
        except (DeviceFault, DeviceTimeout):
            self.close()
            raise

    def _counted(self, work: Callable[[], _T]) -> tuple[_T, Profile]:
        return self._running().counted(work, self._layers)

    def _traced(self, work: Callable[[], object], memory_address: int) -> list[bytes]:
        """What each layer has written when it returns."""
        board = self._running()
        layers = self._layers
        regions = {layer.index: layer.output for layer in layers}
        outputs: dict[int, bytes] = {}

        def keep(index: int) -> None:
            region = regions[index]
            outputs[index] = board.read(memory_address + region.offset, region.size)

        board.watched(work, layers, keep)
        return [outputs[layer.index] for layer in layers]

    def _paint_stack(self) -> None:
        """Forget how deep the stack has been, so that the next reading is of one clip alone."""
        board = self._running()
        words = (board.register("sp") - self._stack[0]) // 4
        board.write(self._stack[0], STACK_PATTERN.to_bytes(4, "little") * words)

    def _stack_bytes(self) -> int:
        """Deepest stack since it was painted: from its top to the lowest word that changed."""
        bottom, top = self._stack
        words = np.frombuffer(self._running().read(bottom, top - bottom), "<u4")
        used = np.flatnonzero(words != STACK_PATTERN)
        return top - bottom - 4 * int(used[0]) if len(used) else 0


class NetworkSession(ImageSession):
    """A booted image of a network alone: the host writes its input and reads its output."""

    def __init__(self, device: ImageDevice) -> None:
        """Boot ``device``; see :meth:`ImageDevice.open_network`."""
        super().__init__(device)
        self._memory_address = self._elf.symbol(NETWORK_SYMBOL).address

    def reset(self) -> None:
        """Start a new sequence: variables get their initial values; the level stays."""
        self._request(Command.RESET)
        if self._level:
            self.set_level(self._level)

    def invoke(self, values: NDArray[Any] | None = None) -> NDArray[Any]:
        """One inference.

        Args:
            values: the input, ``manifest.input.elements`` values of its type; None for what lies
                there, which is the fixed input of the image after it has booted.

        Returns:
            ``[manifest.output.elements]`` of the output's type.

        Raises:
            DeviceError: the input has another type or size.
            DeviceFault: the firmware crashed.
            DeviceTimeout: it did not answer in time.
        """
        self._write(values)
        self._request(Command.INFER)
        return self._output()

    def profile(self, values: NDArray[Any] | None = None) -> NetworkProfile:
        """One inference, counted; see :meth:`invoke`."""
        self._write(values)
        self._paint_stack()
        _, inference = self._counted(lambda: self._request(Command.INFER))
        return NetworkProfile(self._output(), inference, self._stack_bytes())

    def trace(self, values: NDArray[Any] | None = None) -> list[bytes]:
        """Every layer's output in the order of execution, read when the layer returns."""
        self._write(values)
        return self._traced(lambda: self._request(Command.INFER), self._memory_address)

    def _write(self, values: NDArray[Any] | None) -> None:
        if values is None:
            return
        end = self._device.manifest.input_of(self._level)
        if values.dtype != end.dtype or values.size != end.elements:
            raise DeviceError(
                f"the network's input is {end.dtype} {list(end.shape)}; this one is "
                f"{values.dtype} {list(values.shape)}",
                where=self._where,
            )
        self._running().write(self._memory_address + end.offset, values.tobytes())

    def _output(self) -> NDArray[Any]:
        end = self._device.manifest.output_of(self._level)
        data = self._running().read(self._memory_address + end.offset, end.size)
        return np.frombuffer(data, end.dtype).copy()


class StreamSession(ImageSession):
    """A booted image with a front-end; a :class:`edgeprune.devices.base.Session`."""

    def __init__(self, device: ImageDevice) -> None:
        """Boot ``device``; see :meth:`ImageDevice.open`."""
        super().__init__(device)
        self._firmware = self._mailbox.info()
        labels = device.manifest.labels
        if labels and self._firmware.labels != len(labels):
            self.close()
            raise DeviceError(
                f"the image gives {self._firmware.labels} scores, the program has "
                f"{len(labels)} labels",
                where=self._where,
                hint="build the image again from this program",
            )

    def info(self) -> DeviceInfo:
        """What runs on the core."""
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
            DeviceError: the device can't look on, a layer has no function of its own in the image,
                or the clip has another type or length.
        """
        self._push_clip(clip)
        return self._traced(self._infer, self._firmware.arena_address)

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


def _frame_end(firmware: FirmwareInfo, index: int) -> int:
    """Samples after which a frame is complete."""
    return firmware.window_samples + index * firmware.hop_samples
