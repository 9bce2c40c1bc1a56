"""Signatures, against the vectors of RFC 8032 and against another implementation."""

from __future__ import annotations

import random

import pytest

from edgeprune.agent.edgeprune_agent.ed25519 import verify

#: Key, message, signature: RFC 8032, section 7.1, tests 1 to 3.
VECTORS = [
    tuple(map(bytes.fromhex, each))
    for each in (
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e"
            "39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f"
            "3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67"
            "f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    )
]
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493


@pytest.mark.parametrize(("key", "message", "signature"), VECTORS)
def test_the_vectors_of_the_rfc_are_verified(key: bytes, message: bytes, signature: bytes) -> None:
    assert verify(key, message, signature)


@pytest.mark.parametrize(("key", "message", "signature"), VECTORS)
def test_any_flipped_bit_is_refused(key: bytes, message: bytes, signature: bytes) -> None:
    draw = random.Random(1)
    for _ in range(16):
        which = draw.choice([part for part in (key, message, signature) if part])
        bit = draw.randrange(8 * len(which))
        other = (int.from_bytes(which, "little") ^ 1 << bit).to_bytes(len(which), "little")
        damaged = [other if part is which else part for part in (key, message, signature)]
        assert not verify(*damaged)


def test_a_signature_has_one_form() -> None:
    """S + L satisfies the equation as S does: whoever sees a signature could make another one."""
    key, message, signature = VECTORS[1]
    s = int.from_bytes(signature[32:], "little")
    assert not verify(key, message, signature[:32] + (s + ORDER).to_bytes(32, "little"))


#: With S = 0, and R and the key neutral, the equation holds for every message.
NEUTRAL = (1).to_bytes(32, "little")
FORGED = NEUTRAL + bytes(32)


def test_a_key_has_one_form() -> None:
    assert verify(NEUTRAL, b"anything", FORGED)
    assert not verify((P + 1).to_bytes(32, "little"), b"anything", FORGED)
    assert not verify((1 | 1 << 255).to_bytes(32, "little"), b"anything", FORGED)


def test_what_is_not_on_the_curve_is_no_key() -> None:
    assert not verify((2).to_bytes(32, "little"), b"anything", FORGED)


@pytest.mark.parametrize("cut", [slice(None, -1), slice(1, None), slice(0, 0)])
def test_other_lengths_are_refused(cut: slice) -> None:
    key, message, signature = VECTORS[2]
    assert not verify(key[cut], message, signature)
    assert not verify(key, message, signature[cut])
    assert not verify(key + b"\0", message, signature)
    assert not verify(key, message, signature + b"\0")


def test_another_implementation_signs_what_is_verified() -> None:
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    draw = random.Random(2)
    for length in (0, 1, 63, 1000):
        key = ed25519.Ed25519PrivateKey.from_private_bytes(draw.randbytes(32))
        message = draw.randbytes(length)
        public = key.public_key().public_bytes_raw()
        assert verify(public, message, key.sign(message))
        assert not verify(public, message + b" ", key.sign(message))
