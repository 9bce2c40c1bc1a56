"""What a network is charged for, by who runs it."""

from __future__ import annotations

from dataclasses import dataclass

from edgeprune.payoff.records import Backend, PayoffRecord

__all__ = ["Axis", "cost_axes", "plot_axes"]


@dataclass(frozen=True)
class Axis:
    """One cost; less is better.

    Attributes:
        key: of the record.
        unit: what is counted, in the plural, as a sentence says it.
        one: the same in the singular.
        label: of a plot's axis, with the unit that it counts in.
        plotted: how many of the unit the plot's axis counts as one.
        plotted_unit: what that one is called.
        budget: key of the target's budgets that limits it, if there is one.
        budget_unit: how many of the unit the budget counts as one.
    """

    key: str
    unit: str
    one: str
    label: str
    plotted: int
    plotted_unit: str
    budget: str = ""
    budget_unit: int = 1

    def of(self, record: PayoffRecord) -> int | None:
        """A network's cost; None where it was not measured."""
        value: int | None = getattr(record, self.key)
        return value


_INSTRUCTIONS = Axis(
    key="instructions",
    unit="instructions",
    one="instruction",
    label="instructions from a clip's last sample to its scores, thousands",
    plotted=1000,
    plotted_unit="thousand",
    budget="instructions",
)
_FLASH = Axis(
    key="flash_bytes",
    unit="bytes of flash",
    one="byte of flash",
    label="flash of the image, KiB",
    plotted=1024,
    plotted_unit="KiB",
    budget="flash_kib",
    budget_unit=1024,
)
_C_ARRAY = Axis(
    key="c_array_bytes",
    unit="bytes of C array",
    one="byte of C array",
    label="C array of the model, KiB",
    plotted=1024,
    plotted_unit="KiB",
    budget="model_kib",
    budget_unit=1024,
)
_FILE = Axis(
    key="tflite_bytes",
    unit="bytes of file",
    one="byte of file",
    label=".tflite file, KiB",
    plotted=1024,
    plotted_unit="KiB",
    budget="model_kib",
    budget_unit=1024,
)
_MACS = Axis(
    key="macs",
    unit="multiply-accumulates",
    one="multiply-accumulate",
    label="multiply-accumulates of one inference, thousands",
    plotted=1000,
    plotted_unit="thousand",
)


def cost_axes(backend: Backend, device: str) -> tuple[Axis, ...]:
    """What a verdict rests on; nothing where a device counts nothing.

    TensorFlow Lite Micro keeps the file as it is and multiplies by every weight of it, zeros too:
    there, a network costs the array's bytes and its multiply-accumulates.
    """
    if backend == "tflm":
        return (_MACS, _C_ARRAY)
    return () if device == "host" else (_INSTRUCTIONS, _FLASH)


def plot_axes(backend: Backend, device: str) -> tuple[Axis, ...]:
    """What accuracy is drawn over: the costs, or else what is known without a device."""
    return cost_axes(backend, device) or (_MACS, _FILE)
