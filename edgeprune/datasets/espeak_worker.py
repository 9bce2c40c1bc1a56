"""A program of its own: speaks a list of words with eSpeak NG, in a process that nobody else used.

The synthesizer keeps state from one utterance to the next, so the same list in a fresh process is
what gives the same samples. It is run as a file, imports nothing of this package, and takes two
arguments: a JSON file with the job (see :mod:`edgeprune.datasets.espeak`), and where to write the
samples (int16, one utterance after the other) beside which ``<it>.json`` gets their lengths.
"""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Constants of eSpeak NG's speak_lib.h.
_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_UTF8, _SSML = 0x01, 0x10
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4

#: What counts as silence at both ends, as a share of the peak, and what is kept of it.
_QUIET = 0.01
_MARGIN_S = 0.01
#: An utterance that is too long is spoken again at this factor of the rate, up to the fastest.
_HURRY = 1.15
_FASTEST = 260

_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


class Synthesizer:
    """The library, loaded and seeded once."""

    def __init__(self, library: str, data: str) -> None:
        self._library = ctypes.CDLL(library)
        self._library.espeak_GetCurrentVoice.restype = ctypes.POINTER(_Voice)
        self._library.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
        self.rate_hz: int = self._library.espeak_Initialize(
            _SYNCHRONOUS, 0, data.encode(), _DONT_EXIT
        )
        if self.rate_hz <= 0:
            raise SystemExit(f"eSpeak NG does not start with the data in {data}")
        self._heard = bytearray()
        self._callback = _CALLBACK(self._hear)  # kept: the library calls it later
        self._library.espeak_SetSynthCallback(self._callback)
        self._library.espeak_ng_SetRandSeed(0)
        self._speaker = ""

    def _hear(self, samples: Any, count: int, _: Any) -> int:
        if samples and count > 0:
            self._heard += ctypes.string_at(samples, 2 * count)
        return 0

    def use(self, speaker: str) -> None:
        """Take a voice such as ``en-us+f3``; an unknown variant would quietly be another."""
        if speaker == self._speaker:
            return
        status = self._library.espeak_SetVoiceByName(speaker.encode())
        current = self._library.espeak_GetCurrentVoice().contents
        variant = speaker.partition("+")[2]
        taken = (current.identifier or b"").decode().partition("+")[2]
        if status != 0 or taken != variant:
            raise SystemExit(f"this eSpeak NG has no voice {speaker!r}")
        self._speaker = speaker

    def speak(self, utterance: dict[str, Any]) -> NDArray[np.int16]:
        """The samples of one utterance, without the silence at both ends."""
        self.use(utterance["speaker"])
        rate = utterance["rate"]
        while True:
            spoken = _trimmed(self._speak(utterance, rate), round(_MARGIN_S * self.rate_hz))
            if len(spoken) <= utterance["longest"] or rate >= _FASTEST:
                return spoken
            rate = min(round(rate * _HURRY), _FASTEST)

    def _speak(self, utterance: dict[str, Any], rate: int) -> NDArray[np.int16]:
        settings = {
            _RATE: rate,
            _VOLUME: utterance["volume"],
            _PITCH: utterance["pitch"],
            _RANGE: utterance["range"],
        }
        for parameter, value in settings.items():
            self._library.espeak_SetParameter(parameter, value, 0)
        self._heard.clear()
        text = utterance["text"].encode() + b"\0"
        status = self._library.espeak_Synth(text, len(text), 0, 0, 0, _UTF8 | _SSML, None, None)
        if status != 0:
            raise SystemExit(f"eSpeak NG refuses to speak {utterance['text']!r}: {status}")
        return np.frombuffer(bytes(self._heard), np.int16)


def _trimmed(samples: NDArray[np.int16], margin: int) -> NDArray[np.int16]:
    heights = np.abs(samples.astype(np.int32))
    loud = np.flatnonzero(heights > _QUIET * heights.max(initial=0))
    if len(loud) == 0:
        return samples[:0]
    return samples[max(loud[0] - margin, 0) : loud[-1] + 1 + margin]


def main(job_file: str, samples_file: str) -> None:
    """Speak everything that the job lists."""
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    synthesizer = Synthesizer(job["library"], job["data"])
    lengths = []
    with Path(samples_file).open("wb") as file:
        for utterance in job["utterances"]:
            spoken = synthesizer.speak(utterance)
            spoken.tofile(file)
            lengths.append(len(spoken))
    done = json.dumps({"rate_hz": synthesizer.rate_hz, "lengths": lengths})
    Path(f"{samples_file}.json").write_text(done, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
