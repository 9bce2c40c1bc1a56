"""Damage to .tflite files: blind, and where the reader looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers.encode
import numpy as np
import pytest

from edgeprune.graph import read_graph
from tests.graph.networks import Network

#: Numbers that tend to hurt; by a mutation they replace a field, or are added to it.
NUMBERS = (0, 1, 2, 3, 4, 5, 8, 9, 16, 32, 127, 128, 255, 256, 1024, 65535, 65536, 1 << 20)
NUMBERS += (1 << 24, 1 << 30, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, (1 << 64) - 1)
NUMBERS += (0x7F800000, 0x7FC00000, 0x00000001, 0xFF800000)  # infinity, no number, tiny

Mutation = tuple[int, int, int]


@dataclass(frozen=True)
class Seed:
    """A valid file.

    Attributes:
        fields: place and width of every number of the flatbuffer that the reader reads: offsets,
            lengths and values; the weights are not among them.
    """

    name: str
    content: bytes
    fields: tuple[tuple[int, int], ...]


def make_seed(name: str, content: bytes) -> Seed:
    """Watch the reader read a file."""
    fields: dict[tuple[int, int], None] = {}

    def get(packer: Any, buffer: bytes, head: int) -> Any:
        fields[int(head), packer.size] = None
        return packer.unpack_from(memoryview(buffer), head)[0]

    def vector(dtype: Any, buffer: bytes, count: int, offset: int) -> Any:
        width = np.dtype(dtype).itemsize
        if width > 1:
            fields.update({(int(offset) + width * each, width): None for each in range(count)})
        return original(dtype, buffer, count=count, offset=offset)

    original = flatbuffers.encode.GetVectorAsNumpy
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flatbuffers.encode, "Get", get)
        patch.setattr(flatbuffers.encode, "GetVectorAsNumpy", vector)
        read_graph(content)
    return Seed(name, content, tuple(fields))


def mutated(seeds: Sequence[Seed], seed: int, mutations: Sequence[Mutation]) -> bytes:
    """A file with some damage; any integers will do."""
    chosen = seeds[seed % len(seeds)]
    content = bytearray(chosen.content)
    for kind, where, what in mutations:
        _KINDS[kind % len(_KINDS)](content, seeds, chosen, where, what)
    return bytes(content)


def _field(seed: Seed, where: int, content: bytearray) -> tuple[int, int]:
    position, width = seed.fields[where % len(seed.fields)]
    return (position, width) if position + width <= len(content) else (0, min(4, len(content)))


def _put(content: bytearray, position: int, width: int, value: int) -> None:
    content[position : position + width] = (value % (1 << 8 * width)).to_bytes(width, "little")


def _replace(content: bytearray, _: Any, seed: Seed, where: int, what: int) -> None:
    position, width = _field(seed, where, content)
    _put(content, position, width, NUMBERS[what % len(NUMBERS)])


def _shift(content: bytearray, _: Any, seed: Seed, where: int, what: int) -> None:
    position, width = _field(seed, where, content)
    value = int.from_bytes(content[position : position + width], "little")
    distance = NUMBERS[what % len(NUMBERS)]
    _put(content, position, width, value + (distance if what % 2 else -distance))


def _alias(content: bytearray, _: Any, seed: Seed, where: int, what: int) -> None:
    """An offset that points to where another one does; or a value that another one has."""
    position, width = _field(seed, where, content)
    other, other_width = _field(seed, what, content)
    value = int.from_bytes(content[other : other + other_width], "little")
    _put(content, position, width, value + other - position if what % 2 else value)


def _flip(content: bytearray, _: Any, __: Seed, where: int, what: int) -> None:
    if content:
        content[where % len(content)] ^= 1 << what % 8


def _truncate(content: bytearray, _: Any, __: Seed, where: int, ___: int) -> None:
    del content[where % (len(content) + 1) :]


def _splice(content: bytearray, seeds: Sequence[Seed], _: Seed, where: int, what: int) -> None:
    """A piece of one file over or into another."""
    donor = seeds[what % len(seeds)].content
    start = what % len(donor)
    piece = donor[start : start + 4 * (1 + what % 64)]
    at = where % (len(content) + 1) & ~3
    content[at : at + (len(piece) if what % 2 else 0)] = piece


_KINDS = (_replace, _shift, _alias, _replace, _shift, _alias, _flip, _splice, _truncate)


def seeds() -> tuple[Seed, ...]:
    """A file of each family of operators; together they have all that edgeprune compiles."""
    builders = (images, movement, arithmetic, streaming)
    return tuple(make_seed(each.__name__, each().content()) for each in builders)


def images() -> Network:
    network = Network(np.random.default_rng(3), (1, 9, 8, 4), scale=0.1)
    tensor = network.conv_2d(0, 6, kernel=(3, 3), stride=(2, 2), activation="relu6")
    tensor = network.add(tensor, network.depthwise_conv_2d(tensor))
    tensor = network.average_pool_2d(network.max_pool_2d(tensor))
    tensor = network.mean(tensor, [1, 2], keep=False)
    network.softmax(network.fully_connected(tensor, 5))
    return network


def movement() -> Network:
    network = Network(np.random.default_rng(4), (1, 4, 6, 2), scale=0.1)
    tensor = network.pad(0, [(0, 0), (1, 0), (0, 2), (0, 0)])
    tensor = network.pad(tensor, [(0, 0), (0, 1), (0, 0), (1, 1)], 5)
    first, second = network.split(tensor, 3, 2)
    tensor = network.concatenation([second, network.operand((1, 6, 8, 1), scale=0.1), first], 3)
    parts = network.split_v(tensor, 2, [1, -1, 2])
    tensor = network.transpose(parts[1], [0, 2, 1, 3])
    tensor = network.strided_slice(
        tensor, [0, -1, 1, 0], [1, 0, 4, 9], [1, -2, 2, 1], end_mask=10, shrink_axis_mask=1
    )
    tensor = network.slice(tensor, [0, 1, 1], [2, 1, -1])
    tensor = network.reshape(network.squeeze(network.expand_dims(tensor, 0), [0]), (2, 4))
    network.softmax(tensor)
    return network


def arithmetic() -> Network:
    network = Network(np.random.default_rng(5), (1, 3, 4, 6), scale=0.05, dtype="uint8")
    tensor = network.quantize(0, zero_point=-3)
    tensor = network.sub(tensor, network.operand((6,)), activation="relu6")
    tensor = network.mul(network.operand((3, 1, 1), zero_point=4), tensor)
    tensor = network.add(tensor, network.tanh(tensor))
    tensor = network.relu(network.leaky_relu(tensor), "relu6")
    tensor = network.relu(network.hard_swish(tensor))
    tensor = network.relu(network.logistic(tensor), "relu_n1_to_1", gain=2.0)
    network.dequantize(network.quantize(tensor, dtype="uint8", zero_point=9))
    return network


def streaming() -> Network:
    network = Network(np.random.default_rng(6), (1, 2, 1, 5), scale=0.1, zero_point=-7)
    tensor = network.conv_2d(network.stream(0, 3), 4, kernel=(3, 1), padding="valid")
    tensor = network.depthwise_conv_2d(network.stream(tensor, 2), kernel=(4, 1))
    tensor = network.reshape(tensor, (1, 5 * 4))
    tensor = network.logistic(network.fully_connected(tensor, 1))
    network.quantize(tensor, dtype="uint8", zero_point=0)
    return network
