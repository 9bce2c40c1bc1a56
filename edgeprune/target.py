"""Where a model runs, and the budgets it has to meet there: a TOML file a board."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import model_validator

from edgeprune.cores import CORES, QEMU_BOARDS, CoreName
from edgeprune.declaration import Declaration, load, option
from edgeprune.errors import DeclarationError
from edgeprune.fleet_target import Fleet
from edgeprune.ssh_target import Ssh

__all__ = ["Budgets", "Memory", "Target"]


class Memory(Declaration):
    """The memories of a microcontroller."""

    flash_kib: int = option("size of the flash", unit="KiB", ge=8, le=65_536)
    ram_kib: int = option("size of the RAM", unit="KiB", ge=4, le=65_536)
    flash_origin: int = option("address of the flash", default=0x0000_0000, ge=0, lt=2**32)
    ram_origin: int = option("address of the RAM", default=0x2000_0000, ge=0, lt=2**32)
    stack_bytes: int = option("room kept for the stack", default=2048, unit="bytes", ge=256)


class Budgets(Declaration):
    """Limits that decide the verdict; one that is left out decides nothing."""

    accuracy: float | None = option(
        "least int8 accuracy on the test clips, as a fraction", default=None, ge=0, le=1
    )
    latency_ms: float | None = option(
        "longest time from a clip's last sample to its scores: estimated at the target's clock; "
        "on device = 'ssh' the 95th percentile of the measured wall time",
        default=None,
        unit="ms",
        gt=0,
    )
    instructions: int | None = option(
        "most instructions from a clip's last sample to its scores; on device = 'ssh' those of the "
        "whole program in user space, where the host lets it count them",
        default=None,
        unit="instructions",
        gt=0,
    )
    flash_kib: float | None = option(
        "largest image in flash", default=None, unit="KiB", gt=0, le=65_536
    )
    ram_kib: float | None = option(
        "most static RAM, stack not included", default=None, unit="KiB", gt=0, le=65_536
    )
    stack_bytes: int | None = option("deepest stack", default=None, unit="bytes", gt=0)
    model_kib: float | None = option(
        "largest .tflite file", default=None, unit="KiB", gt=0, le=65_536
    )
    bundle_mib: float | None = option(
        "largest bundle, on device = 'ssh': model, libraries, Python packages, agent",
        default=None,
        unit="MiB",
        gt=0,
        le=65_536,
    )
    rss_mib: float | None = option(
        "most memory that the agent has resident, on device = 'ssh'",
        default=None,
        unit="MiB",
        gt=0,
        le=65_536,
    )


class Target(Declaration):
    """A target: ``targets/<name>.toml``."""

    schema_version: Literal[1] = option("version of this layout", default=1)
    name: str = option("a short name", pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=60)
    description: str = option("one line for people", default="")
    core: CoreName = option("the processor core")
    clock_mhz: float | None = option(
        "clock that milliseconds are computed for", default=None, unit="MHz", gt=0, le=5000
    )
    memory: Memory | None = option("memories of a microcontroller", default=None)
    device: Literal["emulator", "qemu", "host", "ssh"] = option("what runs the image")
    ssh: Ssh | None = option("the host of device = 'ssh'", default=None)
    fleet: Fleet | None = option("several hosts in the place of ssh.host", default=None)
    toolchain: Literal["zig", "arm-none-eabi-gcc", "host"] = option(
        "what compiles it", default="zig"
    )
    template: str = option(
        "folder below firmware_templates", default="cortex-m", pattern=r"^[a-z0-9][a-z0-9-]*$"
    )
    optimize: Literal["balanced", "speed", "size"] = option(
        "what kernels and encodings are chosen for: fewest instructions, fewest bytes of flash, or "
        "the least product of both; `size` asks the same of the C compiler",
        default="balanced",
    )
    budgets: Budgets = option("limits that decide the verdict", default=Budgets())

    @model_validator(mode="after")
    def _fits_together(self) -> Target:
        if self.device == "ssh" or CORES[self.core].linux:
            _check_ssh(self)
            return self
        for table in ("ssh", "fleet"):
            if getattr(self, table) is not None:
                raise ValueError(
                    f"{table} is a table of device = 'ssh', not of device = {self.device!r}"
                )
        for key in ("bundle_mib", "rss_mib"):
            if getattr(self.budgets, key) is not None:
                raise ValueError(f"budgets.{key} can't be measured on device = {self.device!r}")
        if self.core == "host":
            if self.device != "host":
                raise ValueError(f"core = 'host' does not run on device = {self.device!r}")
            for key in ("latency_ms", "instructions", "flash_kib", "ram_kib", "stack_bytes"):
                if getattr(self.budgets, key) is not None:
                    raise ValueError(f"budgets.{key} can't be measured on device = 'host'")
            if self.toolchain == "arm-none-eabi-gcc":
                raise ValueError("toolchain = 'arm-none-eabi-gcc' does not build for the host")
            return self
        if self.device == "host":
            raise ValueError(f"device = 'host' does not run a core = {self.core!r}")
        if self.device == "emulator" and not CORES[self.core].unicorn:
            raise ValueError(
                f"device = 'emulator' does not run core = {self.core!r}; device = 'qemu' does"
            )
        if self.toolchain == "host":
            raise ValueError(f"toolchain = 'host' does not build for core = {self.core!r}")
        if self.memory is None:
            raise ValueError(f"memory is missing; core = {self.core!r} needs its sizes")
        if self.clock_mhz is None:
            raise ValueError("clock_mhz is missing; milliseconds are computed for it")
        for key in ("flash_kib", "ram_kib"):
            budget, size = getattr(self.budgets, key), getattr(self.memory, key)
            if budget is not None and budget > size:
                raise ValueError(
                    f"budgets.{key} = {budget:g} is more than the chip has (memory.{key} = {size})"
                )
        if self.device == "qemu":
            _check_board(CORES[self.core].qemu, self.memory)
        return self

    @classmethod
    def read(cls, path: Path, settings: Mapping[str, object] | None = None) -> Target:
        """Read ``path`` with ``--set target.…`` overrides laid over it.

        Raises:
            DeclarationError: naming file and key.
        """
        target = load(cls, path, settings)
        if target.fleet is None or "fleet.inventory" in (settings or {}):
            return target
        return target.model_copy(update={"fleet": target.fleet.beside(path)})

    def ssh_table(self) -> Ssh:
        """How the target is reached over SSH.

        Raises:
            DeclarationError: when it is not.
        """
        if self.ssh is None:
            raise DeclarationError(
                f"device = {self.device!r} is not reached over SSH",
                where=f"target {self.name}: device",
                hint="a target of device = 'ssh'; invoke targets lists them",
            )
        return self.ssh


def _check_ssh(target: Target) -> None:
    if not CORES[target.core].linux:
        known = ", ".join(repr(name) for name, core in CORES.items() if core.linux)
        raise ValueError(f"device = 'ssh' does not run core = {target.core!r}; it runs {known}")
    if target.device != "ssh":
        raise ValueError(
            f"device = {target.device!r} does not run core = {target.core!r}; device = 'ssh' does"
        )
    if target.ssh is None:
        raise ValueError("ssh is missing; device = 'ssh' needs the table, with the host in it")
    if target.fleet is not None and target.ssh.host is not None:
        raise ValueError("ssh.host is one host, and fleet names several; one of them is too many")
    if target.memory is not None:
        raise ValueError("memory is of a microcontroller; device = 'ssh' has none")
    if target.toolchain != "zig":
        raise ValueError(f"toolchain = {target.toolchain!r} does not build for {target.core!r}")
    for key in ("flash_kib", "ram_kib", "stack_bytes"):
        if getattr(target.budgets, key) is not None:
            raise ValueError(f"budgets.{key} can't be measured on device = 'ssh'")


def _check_board(name: str, memory: Memory) -> None:
    board = QEMU_BOARDS[name]
    where = f"device = 'qemu' is the board {name}, which has"
    if memory.flash_origin != board.flash_origin or memory.flash_kib > board.flash_kib:
        raise ValueError(
            f"{where} {board.flash_kib} KiB for code at 0x{board.flash_origin:08x}; "
            f"memory.flash_kib = {memory.flash_kib}, flash_origin = 0x{memory.flash_origin:08x} "
            "(the targets qemu-… fit their boards)"
        )
    end = memory.ram_origin + 1024 * memory.ram_kib
    if not board.ram_origin <= memory.ram_origin < end <= board.ram_origin + 1024 * board.ram_kib:
        raise ValueError(
            f"{where} {board.ram_kib} KiB of RAM at 0x{board.ram_origin:08x}; "
            f"memory.ram_kib = {memory.ram_kib}, ram_origin = 0x{memory.ram_origin:08x}"
        )
