"""From ``--input`` and ``--device`` to a source of audio."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from . import arecord, portaudio
from .audio import Source
from .audio_files import Pipe, WavFile
from .errors import AudioError
from .microphone import Microphone

__all__ = ["open_source"]

#: Of alsa-lib: a name, what it takes behind a colon; or a definition in braces.
_DEVICE = re.compile(r"[\w.][\w.-]*( [\w.-]+)*(:.*)?|\{.*\}")


def open_source(
    name: str, rate_hz: int, block: int, *, realtime: bool, device: str | None
) -> Source:
    """Open audio.

    Args:
        name: ``alsa``, ``arecord``, ``sounddevice`` (or ``portaudio``), a WAV file, ``-`` for
            standard input, or a FIFO or file of int16 PCM. ``alsa`` is arecord, and sounddevice
            where arecord is not installed.
        rate_hz: the sample rate that is needed.
        block: samples of a block.
        realtime: give a WAV file as fast as it would be spoken.
        device: the microphone; the first that opens where left out.

    Raises:
        AudioError: it can't be opened, or is of another kind. A microphone that is not there yet
            is no error.
    """
    if device is not None and not (_DEVICE.fullmatch(device) and device.isprintable()):
        raise AudioError(
            f"--device {device!r} is no name of a device",
            hint="arecord -L lists names, such as plughw:CARD=Mic,DEV=0",
        )
    if name in ("alsa", "arecord", "sounddevice", "portaudio"):
        return _microphone(name, rate_hz, block, device)
    if name == "-":
        return Pipe(None, rate_hz, block)
    path = Path(name)
    try:
        kind = path.stat().st_mode
    except OSError as error:
        raise AudioError(
            f"{path}: {error.strerror}", hint="give alsa, a WAV file, a FIFO or -"
        ) from error
    if stat.S_ISREG(kind) and path.suffix.lower() == ".wav":
        return WavFile(path, rate_hz, block, realtime=realtime)
    return Pipe(path, rate_hz, block)


def _microphone(name: str, rate_hz: int, block: int, device: str | None) -> Microphone:
    by_arecord = arecord.Recorder(device, rate_hz, block)
    by_portaudio = portaudio.Recorder(device, rate_hz, block)
    if name == "arecord":
        by_arecord.require()
        return Microphone(by_arecord.ways)
    if name != "alsa":
        by_portaudio.require()
        return Microphone(by_portaudio.ways)
    # Looked up at every try: arecord may be installed while the service waits.
    return Microphone(
        lambda: (
            by_arecord.ways()
            if by_arecord.installed() or not by_portaudio.installed()
            else by_portaudio.ways()
        )
    )
