"""Microphones that are there, are not there yet, hang, or are pulled out."""

from __future__ import annotations

import os
import sys
import threading
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeprune.agent.edgeprune_agent import arecord, portaudio
from edgeprune.agent.edgeprune_agent.audio import Block
from edgeprune.agent.edgeprune_agent.cards import Recording, recordings
from edgeprune.agent.edgeprune_agent.errors import AudioError, NoMicrophone
from edgeprune.agent.edgeprune_agent.microphone import Microphone
from edgeprune.agent.edgeprune_agent.sources import open_source
from tests.agent.arecord_stand_in import ABSENT, BUSY, OTHER_RATE, PULLED_OUT, STALL, StandIn
from tests.agent.tone_bundle import RATE_HZ, tone

BLOCK = 320


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    found = StandIn(tmp_path / "bin")
    found.has("tone", tone(500, 200))
    monkeypatch.setenv("PATH", str(found.folder), prepend=os.pathsep)
    return found


def _microphone(device: str | None = None, *, silent_s: float = 5, root: str = "/none") -> Any:
    recorder = arecord.Recorder(device, RATE_HZ, BLOCK, root=Path(root))
    return Microphone(recorder.ways, retry_s=0.02, silent_s=silent_s)


def _until(microphone: Any, enough: Any, seconds: float = 10) -> list[Block]:
    """Blocks until there are enough, by a condition on them; the source is closed then."""
    stop, blocks = threading.Event(), []
    deadline = time.monotonic() + seconds
    for block in microphone.blocks(stop):
        blocks.append(block)
        if enough(blocks):
            stop.set()
        assert time.monotonic() < deadline, f"waited in vain: {microphone.missing}"
    return blocks


def _with_audio(blocks: list[Block]) -> list[Block]:
    return [block for block in blocks if len(block.samples)]


def _gone(pid: int, seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_arecord_is_read_as_it_speaks(stand_in: StandIn) -> None:
    stand_in.does("play('tone'); " + STALL)
    microphone = _microphone("2")
    begin = time.monotonic()
    blocks = _with_audio(_until(microphone, lambda seen: len(_with_audio(seen)) == 10))
    assert np.array_equal(np.concatenate([block.samples for block in blocks]), tone(500, 200))
    gaps = np.diff([block.arrived for block in blocks])
    assert gaps.mean() == pytest.approx(0.02, abs=0.01)
    assert begin < blocks[0].arrived < time.monotonic()
    assert {block.fresh for block in blocks} == {False}
    assert (microphone.name, microphone.missing) == ("arecord plughw:2", None)
    (call,) = stand_in.calls()
    assert " ".join(call).startswith("-t raw -f S16_LE -c 1 -r 16000 ")
    assert call[-2:] == ["-D", "plughw:2"]
    assert _gone(stand_in.pids()[0])


def test_a_microphone_that_comes_later_is_heard(stand_in: StandIn) -> None:
    stand_in.does(ABSENT, ABSENT, "play('tone'); " + STALL)
    microphone = _microphone()
    words = set()

    def enough(blocks: list[Block]) -> bool:
        words.add(microphone.missing)
        return bool(_with_audio(blocks))

    _until(microphone, enough)
    assert words == {
        "arecord: audio open error: No such file or directory (connect one; arecord -l lists them)",
        None,
    }
    assert microphone.missing is None
    assert len(stand_in.calls()) == 3


def test_a_microphone_that_is_pulled_out_is_told_and_begins_afresh(stand_in: StandIn) -> None:
    stand_in.does("play('tone')" + PULLED_OUT, ABSENT, "play('tone'); " + STALL)
    microphone = _microphone()
    words = []

    def enough(blocks: list[Block]) -> bool:
        words.append(microphone.missing or "")
        return len(_with_audio(blocks)) == 15

    blocks = _with_audio(_until(microphone, enough))
    assert [number for number, block in enumerate(blocks) if block.fresh] == [10]
    assert any("read error: No such device" in each for each in words)
    assert all(map(_gone, stand_in.pids()))


def test_a_driver_that_hangs_is_opened_anew_and_is_not_missing(stand_in: StandIn) -> None:
    stand_in.does(STALL, STALL, "play('tone'); " + STALL)
    microphone = _microphone("hw:1", silent_s=0.3)
    missing = set()

    def enough(blocks: list[Block]) -> bool:
        missing.add(microphone.missing)
        return bool(_with_audio(blocks))

    _until(microphone, enough)
    assert missing == {None}
    assert len(stand_in.calls()) == 3
    assert all(map(_gone, stand_in.pids()))


def test_a_microphone_that_falls_silent_is_opened_anew(stand_in: StandIn) -> None:
    stand_in.does("play('tone'); " + STALL)
    microphone = _microphone("hw:1", silent_s=0.3)
    blocks = _with_audio(_until(microphone, lambda seen: len(_with_audio(seen)) == 20))
    assert [number for number, block in enumerate(blocks) if block.fresh] == [10]


def test_a_device_that_hangs_is_a_fault_whatever_the_others_say(
    stand_in: StandIn, cards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arecord, "SILENT_S", 0.2)
    stand_in.does(STALL, BUSY, BUSY, STALL)
    microphone = _microphone(root=str(cards), silent_s=0.3)
    missing = set()

    def enough(blocks: list[Block]) -> bool:
        missing.add(microphone.missing)
        return len(stand_in.calls()) == 4

    _until(microphone, enough)
    assert missing == {None}


class _Ending:
    """A device that ends just before the service is stopped, by the same signal."""

    name, overruns = "a device", 0

    def blocks(self, stop: threading.Event) -> Iterator[Block]:
        yield Block(np.zeros(BLOCK, np.int16), time.monotonic())
        threading.Timer(0.05, stop.set).start()
        raise NoMicrophone("terminated")

    def cpu_s(self) -> float:
        return 0.0

    def close(self) -> None:
        return


def test_what_a_stopping_service_loses_is_not_missing() -> None:
    microphone = Microphone(lambda: iter([_Ending]))
    blocks = list(microphone.blocks(threading.Event()))
    assert (len(blocks), microphone.missing) == (1, None)


def test_a_sound_server_without_microphone_is_one_that_is_missing(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arecord, "SILENT_S", 0.3)
    stand_in.does(STALL)
    microphone = _microphone()
    _until(microphone, lambda seen: microphone.missing is not None)
    assert "gives no audio" in microphone.missing


def test_what_finds_no_room_is_lost_and_counted(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeprune.agent.edgeprune_agent.queued.BACKLOG_S", 0.1)
    stand_in.has("long", tone(500, 1000))
    stand_in.does("play('long', 0); time.sleep(0.7); play('tone'); " + STALL)
    microphone = _microphone()
    stop, blocks = threading.Event(), []
    for block in microphone.blocks(stop):
        if not blocks:
            time.sleep(0.5)
        if len(block.samples):
            blocks.append(block)
        if sum(len(each.samples) + each.lost for each in blocks) == 1.2 * RATE_HZ:
            stop.set()
    assert sum(block.lost for block in blocks) >= 0.5 * RATE_HZ
    assert microphone.overruns > 5


def test_what_arecord_lost_is_counted(stand_in: StandIn) -> None:
    lose = "complain('overrun!!! (at least 125.500 ms long)'); time.sleep(0.2); "
    stand_in.does(lose + "play('tone'); " + STALL)
    microphone = _microphone()
    blocks = _with_audio(_until(microphone, lambda seen: len(_with_audio(seen)) == 2))
    assert [block.lost for block in blocks] == [2008, 0]
    assert microphone.overruns == 1


def test_another_rate_is_no_microphone_to_wait_for(stand_in: StandIn) -> None:
    stand_in.does(OTHER_RATE)
    with pytest.raises(AudioError, match="gives 48000 Hz; 16000 Hz is needed") as caught:
        _until(_microphone("hw:1"), lambda seen: False)
    assert not isinstance(caught.value, NoMicrophone)
    assert "plughw" in caught.value.hint
    assert _gone(stand_in.pids()[0])


def test_another_rate_of_the_default_device_leaves_it_to_the_cards(
    stand_in: StandIn, cards: Path
) -> None:
    stand_in.does(OTHER_RATE, "play('tone'); " + STALL)
    microphone = _microphone(root=str(cards))
    blocks = _until(microphone, lambda seen: bool(_with_audio(seen)))
    assert microphone.name == "arecord plughw:CARD=Mic,DEV=0"
    assert _with_audio(blocks)[0].samples.any()


def test_audio_waits_for_what_was_said_before_it(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = arecord.Arecord._note

    def slowly(self: arecord.Arecord, line: str) -> None:
        time.sleep(0.1)
        note(self, line)

    monkeypatch.setattr(arecord.Arecord, "_note", slowly)
    stand_in.does(OTHER_RATE)
    with pytest.raises(AudioError, match="gives 48000 Hz"):
        _until(_microphone("hw:1"), lambda seen: bool(_with_audio(seen)))


def test_its_cpu_time_is_told(stand_in: StandIn) -> None:
    stand_in.does("burn(0.3); play('tone')" + PULLED_OUT)
    microphone = _microphone()
    _until(microphone, lambda seen: len(_with_audio(seen)) == 5)
    first = microphone.cpu_s()
    assert 0.25 < first < 2
    _until(microphone, lambda seen: len(_with_audio(seen)) == 5)
    assert microphone.cpu_s() > first + 0.25


@pytest.mark.parametrize("setpriv", [True, False])
def test_arecord_ends_with_a_thread_or_reader_that_dies(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, setpriv: bool
) -> None:
    """A killed agent: its thread is gone, and nobody reads any more."""
    arecord._tied.cache_clear()
    if setpriv and not arecord._tied():
        pytest.skip("there is no setpriv here")
    monkeypatch.setattr(arecord, "_tied", lambda: arecord._TIED if setpriv else ())
    stand_in.has("long", tone(500, 20_000))
    stand_in.does(STALL if setpriv else "play('long')")
    child = os.fork()
    if child == 0:
        arecord.Recorder("hw:1", RATE_HZ, BLOCK)._open(
            str(stand_in.folder / "arecord"), "hw:1", None, False
        )
        time.sleep(0.5)
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    assert _gone(stand_in.pids()[0])


@pytest.fixture
def cards(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for folder in ("proc/asound/card1", "proc/asound/card2", "dev/snd"):
        (root / folder).mkdir(parents=True)
    (root / "proc/asound/pcm").write_text(
        "00-00: bcm2835 Headphones : bcm2835 Headphones : playback 8\n"
        "01-00: USB Audio : USB Audio : playback 1 : capture 1\n"
        "02-03: USB: Audio : capture : capture 1\n"
        "04-00: broken\n"
    )
    (root / "proc/asound/card1/id").write_text("Mic\n")
    (root / "dev/snd/pcmC1D0c").touch()
    (root / "dev/snd/pcmC2D3c").touch()
    return root


def test_cards_that_record_are_found(cards: Path, tmp_path: Path) -> None:
    assert [each.pcm for each in recordings(cards)] == [
        "plughw:CARD=Mic,DEV=0",
        "plughw:CARD=2,DEV=3",
    ]
    assert recordings(tmp_path) == []


def test_cards_are_tried_after_the_default_device(stand_in: StandIn, cards: Path) -> None:
    """On a Raspberry Pi the default device is often an output."""
    stand_in.does(ABSENT, BUSY, "play('tone'); " + STALL)
    microphone = _microphone(root=str(cards))
    _until(microphone, lambda seen: bool(_with_audio(seen)))
    assert [" ".join(call).partition("-D ")[2] for call in stand_in.calls()] == [
        "",
        "plughw:CARD=Mic,DEV=0",
        "plughw:CARD=2,DEV=3",
    ]
    assert microphone.name == "arecord plughw:CARD=2,DEV=3"


def test_a_busy_and_a_forbidden_card_are_told(
    stand_in: StandIn, cards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in.does(ABSENT, BUSY)
    microphone = _microphone(root=str(cards))
    _until(microphone, lambda seen: microphone.missing is not None)
    assert "resource busy (another program uses it" in microphone.missing
    monkeypatch.setattr(Recording, "permitted", lambda card: False)
    microphone = _microphone(root=str(cards))
    _until(microphone, lambda seen: microphone.missing is not None)
    assert "pcmC2D3c is forbidden" in microphone.missing
    assert "usermod -aG audio" in microphone.missing


def _open(name: str, device: str | None = None) -> Any:
    return open_source(name, RATE_HZ, BLOCK, realtime=False, device=device)


@pytest.mark.parametrize("device", ["", " ", "-D", "plug\nhw", "hw:1\0", "Mic;rm"])
def test_what_is_no_device_is_refused(device: str) -> None:
    with pytest.raises(AudioError, match="is no name of a device"):
        _open("alsa", device)


@pytest.mark.parametrize(
    "device", ["1", "hw:1,0", "plughw:CARD=Mic,DEV=0", "USB Audio", "plug:'a'"]
)
def test_names_of_devices_are_taken(device: str) -> None:
    assert _open("alsa", device).live


class _FakeStream:
    """PortAudio's thread, as far as it is needed."""

    last: Any

    def __init__(self, **options: Any) -> None:
        if options["device"] == "nothing":
            raise ValueError("No input device matching 'nothing'")
        self.options = options
        self.state = "made"
        _FakeStream.last = self

    def start(self) -> None:
        self.state = "started"

    def close(self) -> None:
        self.state = "closed"

    def give(self, samples: np.ndarray, status: object = None) -> None:
        self.options["callback"](samples.tobytes(), len(samples), None, status)


@pytest.fixture
def sounddevice(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    module, looked = types.ModuleType("sounddevice"), []
    module.RawInputStream = _FakeStream  # type: ignore[attr-defined]
    module.PortAudioError = type("PortAudioError", (Exception,), {})  # type: ignore[attr-defined]
    module._terminate = lambda: looked.append("end")  # type: ignore[attr-defined]
    module._initialize = lambda: looked.append("begin")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return looked


@pytest.mark.usefixtures("sounddevice")
def test_portaudio_gives_blocks_and_counts_what_is_lost() -> None:
    (way,) = portaudio.Recorder("3", RATE_HZ, BLOCK).ways()
    capture = way()
    stream = _FakeStream.last
    assert (stream.options["samplerate"], stream.options["device"]) == (RATE_HZ, 3)
    room = 2 * RATE_HZ // BLOCK
    for number in range(room + 5):
        stream.give(np.full(BLOCK, number, np.int16))
    blocks: Iterator[Any] = capture.blocks(threading.Event())
    assert [int(next(blocks).samples[0]) for _ in range(room)] == list(range(room))
    stream.give(np.full(BLOCK, 999, np.int16), status="input overflow")
    after = next(blocks)
    assert (int(after.samples[0]), after.lost) == (999, 5 * BLOCK)
    assert capture.overruns == 6
    stream.give(np.zeros(BLOCK, np.int16))
    assert next(blocks).lost == 0
    assert stream.state == "started"
    capture.close()
    assert stream.state == "closed"


def test_portaudio_looks_again_for_what_was_plugged_in(sounddevice: list[str]) -> None:
    recorder = portaudio.Recorder("nothing", RATE_HZ, BLOCK)
    for looked in ([], ["end", "begin"]):
        with pytest.raises(NoMicrophone, match="No input device matching 'nothing'"):
            next(recorder.ways())()
        assert sounddevice == looked


@pytest.mark.usefixtures("sounddevice")
def test_alsa_is_arecord_or_else_sounddevice(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in.does("play('tone'); " + STALL)
    microphone = _open("alsa")
    _until(microphone, lambda seen: bool(_with_audio(seen)))
    assert microphone.name == "arecord default"
    monkeypatch.setenv("PATH", "/none")
    microphone = _open("alsa")
    _until(microphone, lambda seen: microphone.name != "the microphone")
    assert microphone.name == "sounddevice default"
    microphone = _open("portaudio")
    _until(microphone, lambda seen: microphone.name != "the microphone")
    assert microphone.name == "sounddevice default"


def test_without_any_program_it_waits_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/none")
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    microphone = _open("alsa")
    _until(microphone, lambda seen: microphone.missing is not None)
    assert microphone.missing == "arecord is not installed (sudo apt-get install alsa-utils)"


@pytest.mark.parametrize(
    ("name", "message"),
    [("arecord", "arecord is not installed"), ("sounddevice", "sounddevice can't be imported")],
)
def test_a_program_that_is_asked_for_and_absent_is_an_error(
    monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.setenv("PATH", "/none")
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(AudioError, match=message) as caught:
        _open(name)
    assert "sudo apt-get install" in caught.value.hint
