"""The host's side of the mailbox, against a core that answers what it is told to."""

from __future__ import annotations

import struct

import pytest

from edgeprune.devices.mailbox import Command, FirmwareInfo, Mailbox
from edgeprune.errors import DeviceError, IdentityError

ADDRESS, SIZE = 0x20000100, 40 + 48
FRONTEND, MODEL = "0011223344556677", "8899aabbccddeeff"


class Core:
    """RAM, and what to change in it when it is resumed."""

    def __init__(self, **header):
        self.requests = []
        self.answers = []
        self.memory = bytearray(SIZE)
        self.put(**header)

    def put(self, *, magic=0x50474445, protocol=1, status=0, length=0, frames=0, payload=b""):
        identities = (0x00112233, 0x44556677, 0x8899AABB, 0xCCDDEEFF)
        struct.pack_into(
            "<10I", self.memory, 0, magic, protocol, 0, status, length, *identities, frames
        )
        self.memory[40 : 40 + len(payload)] = payload

    def read(self, address, size):
        return bytes(self.memory[address - ADDRESS : address - ADDRESS + size])

    def write(self, address, data):
        self.memory[address - ADDRESS : address - ADDRESS + len(data)] = data

    def resume(self):
        self.requests.append(bytes(self.memory))
        self.put(**self.answers.pop(0))


def attach(core):
    return Mailbox(core, ADDRESS, SIZE, where="probe")


def test_a_request_is_laid_out_as_the_firmware_reads_it():
    core = Core()
    mailbox = attach(core)
    assert (mailbox.frontend_identity, mailbox.model_identity) == (FRONTEND, MODEL)
    assert mailbox.capacity == 48
    core.answers = [{"length": 3, "payload": b"abcdef", "frames": 9}]
    assert mailbox.request(Command.FEATURES, b"\1\2\3\4", identity="0000000a0000000b") == b"abc"
    assert mailbox.frames == 9
    words = struct.unpack_from("<10I", core.requests[0])
    assert words[:5] == (0x50474445, 1, Command.FEATURES, 0, 4)
    assert words[5:7] == (0xA, 0xB)
    assert core.requests[0][40:44] == b"\1\2\3\4"


def test_info_is_read_in_the_order_of_the_structure():
    core = Core()
    values = range(100, 111)
    core.answers = [{"length": 44, "payload": struct.pack("<11I", *values)}]
    assert attach(core).info() == FirmwareInfo(*values)


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        ({"status": 1}, DeviceError, r"does not know the command \(INFER\)"),
        ({"status": 2}, DeviceError, "refused the length"),
        ({"status": 3}, IdentityError, f"the image has front-end {FRONTEND}"),
        ({"status": 4}, DeviceError, "not enough frames yet"),
        ({"status": 77}, DeviceError, "answered 77"),
        ({"length": 49}, DeviceError, "claims 49 bytes; the mailbox has 48"),
        ({"magic": 0}, DeviceError, "holds 0x00000000, protocol 1; expected 0x50474445"),
        ({"protocol": 2}, DeviceError, "protocol 2; expected"),
    ],
)
def test_bad_answers_are_errors_of_the_device(answer, error, message):
    core = Core()
    mailbox = attach(core)
    core.answers = [answer]
    with pytest.raises(error, match=message) as caught:
        mailbox.request(Command.INFER)
    assert caught.value.where == "probe"


def test_another_protocol_is_refused_at_once():
    with pytest.raises(DeviceError, match="build the image again"):
        attach(Core(protocol=9))


def test_an_answer_to_info_of_another_length_is_refused():
    core = Core()
    core.answers = [{"length": 40}]
    with pytest.raises(DeviceError, match="INFO has 40 bytes, not 44"):
        attach(core).info()


@pytest.mark.parametrize("identity", ["", "123", "x" * 16, "0" * 17])
def test_identities_have_16_hex_digits(identity):
    core = Core()
    with pytest.raises(IdentityError, match="16 hex digits"):
        attach(core).request(Command.FEATURES, b"", identity=identity or "-")
    assert not core.requests


def test_a_payload_that_is_too_long_is_not_sent():
    core = Core()
    with pytest.raises(DeviceError, match="49 bytes does not fit the mailbox of 48"):
        attach(core).request(Command.PCM, b"\0" * 49)
    assert not core.requests


def test_a_level_is_part_of_the_command():
    core = Core()
    mailbox = attach(core)
    core.answers = [{}, {"status": 1}]
    mailbox.set_level(2)
    assert struct.unpack_from("<10I", core.requests[0])[2] == Command.LEVEL + 2
    with pytest.raises(DeviceError, match=r"does not know the command \(LEVEL 5\)"):
        mailbox.set_level(5)
