"""The command line's grammar."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import NoReturn

from .errors import UsageError

__all__ = ["RESOLVERS", "RUNTIMES", "parser"]

#: In the order that ``auto`` tries them.
RUNTIMES = ("ai-edge-litert", "tflite-runtime", "native")
RESOLVERS = ("default", "reference", "no-delegates")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"{self.prog} --help")


def parser(folder: Path) -> argparse.ArgumentParser:
    """What takes the arguments apart; ``@FILE`` stands for a file with one argument a line.

    Args:
        folder: of the bundle that the program lies in.
    """
    whole = _Parser(prog="run.py", description="edgeprune on a device.", fromfile_prefix_chars="@")
    commands = whole.add_subparsers(dest="command", required=True, parser_class=_Parser)
    for name, text in (
        ("version", "Verify a bundle and say what it is."),
        ("health", "Load the model and prove it by the golden clip."),
        ("bench", "Measure the latency."),
        ("eval", "Compute the scores of many clips."),
        ("listen", "Spot keywords in a stream of audio."),
    ):
        command: argparse.ArgumentParser = commands.add_parser(
            name, help=text, description=text, fromfile_prefix_chars="@"
        )
        command.add_argument(
            "--bundle", type=Path, default=folder, help="its folder; default: this program's"
        )
        if name != "version":
            _add_runtime(command)
        if name in _ADD:
            _ADD[name](command)
    return whole


def _add_runtime(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--runtime", choices=("auto", *RUNTIMES), help="default: what the bundle asks for"
    )
    command.add_argument("--resolver", choices=RESOLVERS, default="default")
    command.add_argument("--threads", type=_count, default=1)


def _add_health(command: argparse.ArgumentParser) -> None:
    command.add_argument("--file", type=Path, help="also write the answer there")


def _add_bench(command: argparse.ArgumentParser) -> None:
    command.add_argument("--iterations", type=_count, default=300)
    command.add_argument("--warm-up", type=_count, default=30)


def _add_eval(command: argparse.ArgumentParser) -> None:
    command.add_argument("--clips", type=Path, required=True, help="int16 PCM [clips, samples]")
    command.add_argument("--clip-samples", type=_count, required=True)
    command.add_argument(
        "--scores", type=Path, required=True, help="int8 [clips, labels] are written there"
    )


def _add_listen(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add(
        "--input",
        default="alsa",
        help="alsa (arecord, or sounddevice where that is not installed), arecord, sounddevice, "
        "a WAV file, a FIFO of int16 PCM, or - for stdin",
    )
    add(
        "--device",
        help="the microphone; of arecord: a name such as plughw:CARD=Mic, or a card's number; "
        "of sounddevice: a number, or a part of a name; default: the first that opens",
    )
    add("--realtime", action="store_true", help="give a WAV file as fast as it is spoken")
    add("--every-ms", type=_time, default=100.0, help="from inference to inference")
    add("--smooth-ms", type=_time, default=300.0, help="that posteriors are averaged over")
    add("--refractory-ms", type=_time, default=1000.0, help="without another detection")
    add(
        "--threshold",
        action="append",
        default=[],
        metavar="[LABEL=]P",
        help="smoothed posterior that is a detection, of all keywords or of one; default: 0.7",
    )
    add("--status-s", type=_time, default=10.0, help="from status line to status line")
    add("--health-file", type=Path, help="where the service tells its health")
    add("--mqtt", metavar="HOST[:PORT]", help="also publish detections")
    add("--mqtt-user", default="")
    add("--mqtt-password-file", type=Path)
    add("--mqtt-node", help="how the device is called; default: its host name")
    add("--mqtt-topic", default="", help="base of all topics; default: edgeprune/NODE")
    add("--mqtt-discovery", default="homeassistant", help="Home Assistant's prefix, or nothing")


_ADD = {"health": _add_health, "bench": _add_bench, "eval": _add_eval, "listen": _add_listen}


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return value


def _time(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"{text} is no time")
    return value
