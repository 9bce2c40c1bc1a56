"""The networks that the tests build are networks to LiteRT too."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgeprune.graph import read_graph
from tests.graph.mutations import Seed, seeds


@pytest.mark.parametrize("seed", seeds(), ids=lambda seed: seed.name)
def test_litert_runs_them_and_agrees_on_every_tensor(seed: Seed) -> None:
    graph = read_graph(seed.content)
    interpreter = Interpreter(
        model_content=seed.content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(graph.input.index, np.zeros(graph.input.shape, graph.input.dtype))
    interpreter.invoke()
    states = {variable.tensor for variable in graph.variables}
    for tensor in graph.tensors:
        if tensor not in states:
            values = interpreter.get_tensor(tensor.index)
            assert (values.shape, values.dtype) == (tensor.shape, np.dtype(tensor.dtype))
