"""The processor cores that edgeprune builds for: data, not code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["CORES", "Core", "CoreName"]

CoreName = Literal["cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "host"]


@dataclass(frozen=True)
class Core:
    """How the compilers and the emulator name one core.

    Attributes:
        name: our name.
        zig: arguments of ``zig cc``.
        gcc: arguments of ``arm-none-eabi-gcc``.
        unicorn: the suffix of Unicorn's ``UC_CPU_ARM_…`` constant.
        dsp: has the DSP extension (SMLAD and friends).
        fpu: has a single-precision FPU, which start-up code must switch on.
    """

    name: CoreName
    zig: tuple[str, ...]
    gcc: tuple[str, ...] = ()
    unicorn: str = ""
    dsp: bool = False
    fpu: bool = False


def _arm(
    name: CoreName, zig_cpu: str, unicorn: str, *, dsp: bool = False, fpu: str | None = None
) -> Core:
    zig_abi, gcc_abi = ("eabihf", "hard") if fpu else ("eabi", "soft")
    gcc_fpu = (f"-mfpu={fpu}",) if fpu else ()
    return Core(
        name=name,
        zig=("-target", f"thumb-freestanding-{zig_abi}", f"-mcpu={zig_cpu}"),
        gcc=(f"-mcpu={name}", "-mthumb", f"-mfloat-abi={gcc_abi}", *gcc_fpu),
        unicorn=unicorn,
        dsp=dsp,
        fpu=fpu is not None,
    )


#: Every core by name. Debian's multilibs fix the FPU names that gcc takes.
CORES: dict[CoreName, Core] = {
    core.name: core
    for core in (
        _arm("cortex-m0plus", "cortex_m0plus", "CORTEX_M0"),
        _arm("cortex-m3", "cortex_m3", "CORTEX_M3"),
        _arm("cortex-m4", "cortex_m4+vfp4d16sp", "CORTEX_M4", dsp=True, fpu="fpv4-sp-d16"),
        _arm("cortex-m7", "cortex_m7+fp_armv8d16sp", "CORTEX_M7", dsp=True, fpu="fpv5-sp-d16"),
        _arm(
            "cortex-m33",
            "cortex_m33+dsp+fp_armv8d16sp",
            "CORTEX_M33",
            dsp=True,
            fpu="fpv5-sp-d16",
        ),
        Core(name="host", zig=("-target", "native", "-mcpu=baseline")),
    )
}
