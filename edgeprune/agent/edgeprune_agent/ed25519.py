"""Ed25519 signatures, verified: RFC 8032, section 5.1. Nothing here signs, or handles a secret.

Points are extended homogeneous coordinates (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z; the
formulas are those of Hisil, Wong, Carter and Dawson (2008), which section 5.1.4 gives.
"""

from __future__ import annotations

import hashlib

__all__ = ["KEY_BYTES", "SIGNATURE_BYTES", "verify"]

KEY_BYTES = 32
SIGNATURE_BYTES = 64

_P = 2**255 - 19
#: The order of the base point.
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT_OF_MINUS_1 = pow(2, (_P - 1) // 4, _P)

_Point = tuple[int, int, int, int]
_NEUTRAL: _Point = (0, 1, 1, 0)


def verify(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a signature over a message was made with the secret of a public key.

    The equation is checked without the cofactor, and what is not encoded canonically is refused.

    Args:
        key: 32 bytes.
        message: of any length.
        signature: 64 bytes.
    """
    if len(key) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    public = _decode(key)
    s = int.from_bytes(signature[32:], "little")
    if public is None or s >= _L:
        return False
    digest = hashlib.sha512(signature[:32] + key + message).digest()
    k = int.from_bytes(digest, "little") % _L
    # R = [s]B - [k]A
    return _encode(_two_products(s, _BASE, k, _negative(public))) == signature[:32]


def _add(a: _Point, b: _Point) -> _Point:
    low = (a[1] - a[0]) * (b[1] - b[0]) % _P
    high = (a[1] + a[0]) * (b[1] + b[0]) % _P
    c = 2 * a[3] * b[3] * _D % _P
    d = 2 * a[2] * b[2] % _P
    e, f, g, h = high - low, d - c, d + c, high + low
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _negative(point: _Point) -> _Point:
    x, y, z, t = point
    return -x % _P, y, z, -t % _P


def _two_products(m: int, a: _Point, n: int, b: _Point) -> _Point:
    """[m]a + [n]b, with shared doublings."""
    table = (_NEUTRAL, a, b, _add(a, b))
    total = _NEUTRAL
    for bit in range(max(m.bit_length(), n.bit_length()) - 1, -1, -1):
        total = _add(total, total)
        which = (m >> bit & 1) + 2 * (n >> bit & 1)
        if which:
            total = _add(total, table[which])
    return total


def _encode(point: _Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, -1, _P)
    return (y * inverse % _P | (x * inverse % _P & 1) << 255).to_bytes(32, "little")


def _decode(encoded: bytes) -> _Point | None:
    """Section 5.1.3; none for what is no canonical encoding of a point."""
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    if y >= _P:
        return None
    x = _x_of(y)
    if x is None or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


def _x_of(y: int) -> int | None:
    """A square root of (y^2 - 1) / (d y^2 + 1), if there is one."""
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    root = pow(square, (_P + 3) // 8, _P)
    if (root * root - square) % _P:
        root = root * _ROOT_OF_MINUS_1 % _P
    return None if (root * root - square) % _P else root


def _base() -> _Point:
    """The point with y = 4/5 and an even x."""
    y = 4 * pow(5, -1, _P) % _P
    x = _x_of(y) or 0
    x = _P - x if x & 1 else x
    return x, y, 1, x * y % _P


_BASE = _base()
