"""A bundle for this machine: a network made by hand that tells low tones from high ones."""

from __future__ import annotations

import hashlib
import json
import shutil
import wave
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from edgeprune import agent, frontend
from edgeprune.codegen import HostProgram, generate
from edgeprune.frontend import FrontendLibrary, InputQuantization
from edgeprune.graph import read_graph
from edgeprune.recipe import Frontend
from edgeprune.toolchain import Toolchain
from tests.graph.networks import Network
from tests.graph.tflite_files import ModelFile

LABELS = ("silence", "low", "high")
RATE_HZ = 16_000
FRONTEND = Frontend(clip_ms=400, hop_ms=20, mel_bins=16)
_INPUT_SCALE = 0.05
RELEASE = "20250301T120000Z-1a2b3c4d"


@dataclass(frozen=True)
class Parts:
    """What bundles are made of, and the host's answers to compare theirs with."""

    model: bytes
    library: FrontendLibrary
    quantization: InputQuantization
    program: HostProgram

    @classmethod
    def build(cls, toolchain: Toolchain, cache: Path, model: bytes = b"") -> Parts:
        library = FrontendLibrary.build(FRONTEND, toolchain, cache)
        bits = frontend.fraction_bits(FRONTEND)
        heard = np.concatenate([library.features(tone(hz)[None]) for hz in (0, 400, 3000)])
        real = heard.reshape(-1, FRONTEND.features) * 2.0**-bits
        quantization = InputQuantization.derive(
            real.mean(axis=0), np.full(FRONTEND.features, real.std()), bits, _INPUT_SCALE, 0
        )
        model = model or _model(quantization.apply(heard))
        program = HostProgram.build(
            generate(read_graph(model), labels=LABELS),
            toolchain,
            cache,
            {**frontend.sources(FRONTEND), **quantization.sources()},
        )
        return cls(model, library, quantization, program)

    def inputs(self, clips: NDArray[np.int16]) -> NDArray[np.int8]:
        return self.quantization.apply(self.library.features(clips))

    def interpreted(self, clips: NDArray[np.int16], resolver: str) -> NDArray[np.int8]:
        """Scores [clips, labels] by LiteRT on this machine."""
        interpreter = Interpreter(
            model_content=self.model,
            experimental_op_resolver_type=getattr(OpResolverType, resolver),
        )
        interpreter.allocate_tensors()
        source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        scores = []
        for values in self.inputs(clips):
            interpreter.set_tensor(source["index"], values[None, :, :, None])
            interpreter.invoke()
            scores.append(interpreter.get_tensor(result["index"])[0].copy())
        return np.array(scores)

    def frontend_json(self) -> dict[str, Any]:
        return {
            "identity": self.library.identity,
            "sample_rate_hz": RATE_HZ,
            "clip_samples": FRONTEND.clip_samples,
            "window": FRONTEND.window,
            "hop": FRONTEND.hop,
            "frames": FRONTEND.frames,
            "features": FRONTEND.features,
            "input": {
                "multipliers": list(self.quantization.multipliers),
                "offsets": list(self.quantization.offsets),
                "shift": self.quantization.shift,
            },
        }

    def write(self, folder: Path) -> None:
        """A whole bundle."""
        clip = tone(400)
        files: dict[str, bytes] = {
            **agent.sources(),
            "model.tflite": self.model,
            "labels.json": json.dumps(LABELS).encode(),
            "frontend.json": json.dumps(self.frontend_json()).encode(),
            "lib/libedgeprune_frontend.so": self.library.path.read_bytes(),
            "lib/libedgeprune_model.so": self.program.path.read_bytes(),
            "golden/clip.s16": clip.astype("<i2").tobytes(),
            "golden/scores.i8": self.interpreted(clip[None], "BUILTIN_REF").tobytes(),
            "golden/scores.xnnpack.i8": self.interpreted(clip[None], "AUTO").tobytes(),
            "golden/scores.native.i8": self.program.infer_pcm(clip[None]).tobytes(),
        }
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        seal(folder)


def seal(folder: Path, **facts: Any) -> None:
    """Write the manifest of what lies in a bundle."""
    files = {
        path.relative_to(folder).as_posix(): {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "bytes": path.stat().st_size,
            "mode": "0644",
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("manifest.json", "manifest.sig")
    }
    content = {"schema_version": 1, "release": RELEASE, "files": files, **facts}
    (folder / "manifest.json").write_text(json.dumps(content), encoding="utf-8")


def add(folder: Path, files: Mapping[str, str | bytes | None], **facts: Any) -> Path:
    """Write files into a bundle, or remove them, and seal it again."""
    for name, content in files.items():
        path = folder / name
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is not None:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
    seal(folder, **facts)
    return folder


def copy(folder: Path, destination: Path) -> Path:
    shutil.copytree(folder, destination)
    return destination


def tone(hz: float, ms: float = 400, amplitude: float = 8000) -> NDArray[np.int16]:
    """A tone over quiet noise; 0 Hz is noise alone."""
    count = round(RATE_HZ * ms / 1000)
    noise = np.random.default_rng(7).normal(0, 20, count)
    wave_form = amplitude * np.sin(2 * np.pi * hz * np.arange(count) / RATE_HZ)
    return np.round(wave_form + noise).astype(np.int16)


def write_wav(path: Path, samples: NDArray[np.int16], rate_hz: int = RATE_HZ) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def noisy_model() -> bytes:
    """Random layers of the kinds that runtimes compute differently."""
    network = Network(np.random.default_rng(1), (1, FRONTEND.frames, FRONTEND.features, 1))
    layer = network.conv_2d(0, 16, kernel=(3, 3), stride=(2, 2), activation="relu")
    for _ in range(3):
        layer = network.conv_2d(layer, 16, activation="relu", gain=0.5)
    layer = network.average_pool_2d(layer, kernel=network.shape(layer)[1:3], padding="valid")
    scores = network.reshape(network.conv_2d(layer, 3), (1, 3))
    network.softmax(scores, beta=0.02 / network.scale(scores))
    return network.content()


def _model(heard: NDArray[np.int8]) -> bytes:
    """Each score is the likeness to what was heard of silence, a low and a high tone."""
    frames, features = FRONTEND.frames, FRONTEND.features
    patterns = heard.astype(np.float64) - heard.mean(axis=0)
    weights = np.round(patterns / np.abs(patterns).max() * 127).reshape(3, -1).astype(np.int8)
    logits = weights.astype(np.int64) @ heard.reshape(3, -1).T.astype(np.int64)
    bias = np.round(-(logits - np.diag(np.diag(logits))).sum(axis=1) / 2).astype(np.int32)
    scale = 8 / (_INPUT_SCALE * float(np.abs(logits + bias[:, None]).max()))
    file = ModelFile()
    source = file.activation((1, frames, features, 1), _INPUT_SCALE)
    flat = file.activation((1, frames * features), _INPUT_SCALE)
    shape = file.constant(np.array([1, frames * features], np.int32))
    file.operator("RESHAPE", [source, shape], flat)
    matrix = file.constant(weights, scales=[scale], zero_points=[0])
    offset = file.constant(bias, scales=[scale * _INPUT_SCALE], zero_points=[0])
    scores = file.activation((1, 3), 0.1)
    file.operator(
        "FULLY_CONNECTED", [flat, matrix, offset], scores, version=4, FusedActivationFunction=0
    )
    out = file.activation((1, 3), 1 / 256, -128)
    file.operator("SOFTMAX", [scores], out, version=2, Beta=1.0)
    return file.content()
