"""What others reach, from a data file that says where each figure comes from."""

from __future__ import annotations

import tomllib

from pydantic import ValidationError

from edgeprune import resources
from edgeprune.bench.records import BenchRecord
from edgeprune.errors import DeclarationError
from edgeprune.evaluation.measurement import Record

__all__ = ["Peer", "Peers", "Published"]


class Peer(Record):
    """A whole image on an emulated core, counted as ours are."""

    stack: str
    core: str
    flash_bytes: int
    ram_bytes: int
    stack_bytes: int
    instructions: int
    source: str

    def record(self, model: str) -> BenchRecord:
        """The same as a line of the comparison."""
        return BenchRecord(model=model, variant="dense", device="emulated", **self.model_dump())


class Published(Record):
    """A time on a real board, as its maker published it."""

    stack: str
    core: str
    board: str
    ms: float
    source: str


class Peers(Record):
    """The data file ``benchmarks/peers.toml``."""

    peer: tuple[Peer, ...]
    published: tuple[Published, ...]

    @classmethod
    def read(cls) -> Peers:
        """Read the file.

        Raises:
            DeclarationError: it is missing or damaged.
        """
        path = resources.root() / "benchmarks" / "peers.toml"
        try:
            return cls.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
            raise DeclarationError(f"can't be read: {error}", where=str(path)) from error
