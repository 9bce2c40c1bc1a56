"""int8 inference with both resolvers: the same file runs on the host and in the box.

usage: infer.py FOLDER, which holds model.tflite and inputs.npy (one a row), and gets outputs.npz
"""

import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

RESOLVERS = {"reference": OpResolverType.BUILTIN_REF, "default": OpResolverType.AUTO}


def outputs(model: bytes, inputs: np.ndarray, resolver: OpResolverType) -> np.ndarray:
    """The first output for every row of ``inputs``."""
    interpreter = Interpreter(
        model_content=model, experimental_op_resolver_type=resolver, num_threads=1
    )
    interpreter.allocate_tensors()
    given = interpreter.get_input_details()[0]["index"]
    wanted = interpreter.get_output_details()[0]["index"]
    rows = []
    for row in inputs:
        interpreter.set_tensor(given, row[np.newaxis])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(wanted)[0])
    return np.stack(rows)


def main() -> None:
    folder = Path(sys.argv[1])
    model, inputs = (folder / "model.tflite").read_bytes(), np.load(folder / "inputs.npy")
    results = {name: outputs(model, inputs, resolver) for name, resolver in RESOLVERS.items()}
    np.savez(folder / "outputs.npz", **results)


if __name__ == "__main__":
    main()
