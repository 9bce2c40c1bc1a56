"""The processor cores that edgeprune builds for: data, not code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["CORES", "GLIBC", "QEMU_BOARDS", "Core", "CoreName", "QemuBoard"]

CoreName = Literal[
    "cortex-m0plus",
    "cortex-m3",
    "cortex-m4",
    "cortex-m7",
    "cortex-m33",
    "cortex-m55",
    "aarch64",
    "armv7",
    "x86_64",
    "host",
]

#: The oldest C library that a shared library for another machine loads on: Debian 10's. The Debian
#: releases that Raspberry Pi OS was made from since, 11 to 13, have 2.31, 2.36 and 2.41.
GLIBC = (2, 28)


@dataclass(frozen=True)
class QemuBoard:
    """A machine of QEMU: where an image's code begins, vector table first, and where its data go.

    Both memories are RAM on the FPGA boards that QEMU models.
    """

    flash_origin: int
    flash_kib: int
    ram_origin: int
    ram_kib: int


@dataclass(frozen=True)
class Core:
    """How the compilers and the emulators name one core.

    Attributes:
        name: our name.
        zig: arguments of ``zig cc``.
        gcc: arguments of ``arm-none-eabi-gcc``.
        unicorn: the suffix of Unicorn's ``UC_CPU_ARM_…`` constant; empty where it has none.
        qemu: QEMU's machine with this core, of :data:`QEMU_BOARDS`; empty where it has none.
        dsp: has the DSP extension (SMLAD and friends).
        fpu: has a floating-point unit, which start-up code must switch on.
        mve: has the M-profile vector extension (Helium), switched on with the FPU.
        linux: what ``uname -m`` says where it runs Linux and loads shared libraries; empty for a
            microcontroller, and for this machine.
    """

    name: CoreName
    zig: tuple[str, ...]
    gcc: tuple[str, ...] = ()
    unicorn: str = ""
    qemu: str = ""
    dsp: bool = False
    fpu: bool = False
    mve: bool = False
    linux: str = ""

    @property
    def bare_metal(self) -> bool:
        """Whether it runs an image, and not a library below an operating system."""
        return self.name != "host" and not self.linux


def _linux(name: CoreName, triple: str, cpu: str, *, uname: str) -> Core:
    glibc = ".".join(map(str, GLIBC))
    return Core(name=name, zig=("-target", f"{triple}.{glibc}", f"-mcpu={cpu}"), linux=uname)


def _arm(
    name: CoreName,
    zig_cpu: str,
    *,
    unicorn: str = "",
    qemu: str,
    dsp: bool = False,
    fpu: str | None = None,
    mve: bool = False,
) -> Core:
    zig_abi, gcc_abi = ("eabihf", "hard") if fpu else ("eabi", "soft")
    gcc_fpu = (f"-mfpu={fpu}",) if fpu else ()
    return Core(
        name=name,
        zig=("-target", f"thumb-freestanding-{zig_abi}", f"-mcpu={zig_cpu}"),
        gcc=(f"-mcpu={name}", "-mthumb", f"-mfloat-abi={gcc_abi}", *gcc_fpu),
        unicorn=unicorn,
        qemu=qemu,
        dsp=dsp,
        fpu=fpu is not None,
        mve=mve,
    )


#: Every core by name. Debian's multilibs fix the FPU names that gcc takes; ``auto`` is the core's
#: own. QEMU has no board with an M0+: the M3 runs all of its instructions.
CORES: dict[CoreName, Core] = {
    core.name: core
    for core in (
        _arm("cortex-m0plus", "cortex_m0plus", unicorn="CORTEX_M0", qemu="mps2-an385"),
        _arm("cortex-m3", "cortex_m3", unicorn="CORTEX_M3", qemu="mps2-an385"),
        _arm(
            "cortex-m4",
            "cortex_m4+vfp4d16sp",
            unicorn="CORTEX_M4",
            qemu="mps2-an386",
            dsp=True,
            fpu="fpv4-sp-d16",
        ),
        _arm(
            "cortex-m7",
            "cortex_m7+fp_armv8d16sp",
            unicorn="CORTEX_M7",
            qemu="mps2-an500",
            dsp=True,
            fpu="fpv5-sp-d16",
        ),
        _arm(
            "cortex-m33",
            "cortex_m33+dsp+fp_armv8d16sp",
            unicorn="CORTEX_M33",
            qemu="mps2-an505",
            dsp=True,
            fpu="fpv5-sp-d16",
        ),
        _arm(
            "cortex-m55",
            "cortex_m55+mve_fp+fp_armv8d16",
            qemu="mps3-an547",
            dsp=True,
            fpu="auto",
            mve=True,
        ),
        # What every 64-bit Raspberry Pi runs: Cortex-A53 (3, Zero 2), A72 (4) and A76 (5).
        _linux("aarch64", "aarch64-linux-gnu", "generic", uname="aarch64"),
        # 32-bit Raspberry Pi OS on a Pi 2 or newer: NEON, floats in registers.
        _linux("armv7", "arm-linux-gnueabihf", "generic+v7a+neon", uname="armv7l"),
        _linux("x86_64", "x86_64-linux-gnu", "x86_64", uname="x86_64"),
        Core(name="host", zig=("-target", "native", "-mcpu=baseline")),
    )
}

#: QEMU's machines by the name that ``qemu-system-arm -M`` takes.
QEMU_BOARDS: dict[str, QemuBoard] = {
    "mps2-an385": QemuBoard(0x0000_0000, 4096, 0x2000_0000, 4096),
    "mps2-an386": QemuBoard(0x0000_0000, 4096, 0x2000_0000, 4096),
    "mps2-an500": QemuBoard(0x0000_0000, 4096, 0x2000_0000, 4096),
    # The M33 and the M55 start in the secure state. This board's secure memories:
    "mps2-an505": QemuBoard(0x1000_0000, 4096, 0x3800_0000, 4096),
    # The tightly coupled memories.
    "mps3-an547": QemuBoard(0x0000_0000, 512, 0x2000_0000, 512),
}
