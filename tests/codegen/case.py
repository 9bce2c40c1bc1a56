"""A drawn network that says what it is when a test fails."""

from __future__ import annotations

from edgeprune.graph import read_graph

__all__ = ["Case"]


class Case:
    def __init__(self, content: bytes, seed: int) -> None:
        self.content = content
        self.seed = seed

    def __repr__(self) -> str:
        layers = [
            f"{each.kind} {list(each.inputs[0].shape)} -> {list(each.output.shape)}"
            for each in read_graph(self.content).operators
        ]
        return f"seed {self.seed}: {'; '.join(layers)}"
