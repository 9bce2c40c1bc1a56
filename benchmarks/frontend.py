"""The figures of the audio front-end: instructions, bytes, speed, distance from librosa.

From the repository's folder::

    python -m benchmarks.frontend [--speech speech_commands.tar.gz]

Instructions are counted on Unicorn, per basic block, and are the same on every run. With
``--speech`` (an archive in the layout of Speech Commands) the distance from librosa is measured on
every clip in it, otherwise on made signals.
"""

from __future__ import annotations

import argparse
import io
import tarfile
import tempfile
import time
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeprune.cores import CORES
from edgeprune.errors import ToolchainError
from edgeprune.frontend import FrontendLibrary, InputQuantization, fraction_bits, sources
from edgeprune.recipe import Frontend
from edgeprune.toolchain import Optimize, Toolchain, ToolchainName, find_toolchain
from tests.frontend import reference, signals
from tests.frontend.bare_metal import BUFFERS, RAM, BareMetal, link

FRONTENDS = {
    "log-mel, 512 points, 40 mel bins": Frontend(kind="log-mel", window_ms=30, mel_bins=40),
    "mfcc, 512 points, 40 mel bins, 10 coefficients": Frontend(
        kind="mfcc", window_ms=30, mel_bins=40, coefficients=10
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--speech", type=Path, help="archive in the layout of Speech Commands")
    archive = parser.parse_args().speech
    with tempfile.TemporaryDirectory() as folder:
        for name, frontend in FRONTENDS.items():
            print(f"\n{name}")
            library = FrontendLibrary.build(frontend, find_toolchain("zig"), Path(folder))
            _cost(frontend, library, Path(folder))
            _speed(library)
            _distance(library, archive)


def _cost(frontend: Frontend, library: FrontendLibrary, folder: Path) -> None:
    count = frontend.features
    quantization = InputQuantization.derive(np.full(count, 20.0), np.full(count, 5.0), 8, 0.03, 0)
    texts = {**sources(frontend), **quantization.sources()}
    clip = signals.ordinary(frontend)["noise"]
    print(f"  {'compiler':<19}{'core':<15}{'level':<7}{'instructions':>13}{'code':>7}{'tables':>8}")
    toolchains: tuple[ToolchainName, ...] = ("zig", "arm-none-eabi-gcc")
    levels: tuple[Optimize, ...] = ("speed", "size")
    stack = 0
    for toolchain in _found(toolchains):
        for core in CORES.values():
            for level in levels if core.bare_metal else ():
                elf = link(texts, toolchain, core.name, folder / "image", optimize=level)
                machine = BareMetal(elf, core.name)
                machine.write(BUFFERS, clip)
                call = ("run_clip", BUFFERS, len(clip), BUFFERS + (1 << 17))
                instructions = machine.count(*call) / frontend.frames
                stack = max(stack, machine.stack(*call))
                code, tables = _sizes(machine)
                print(
                    f"  {toolchain.name:<19}{core.name:<15}{level:<7}{instructions:>13,.0f}"
                    f"{code:>7,}{tables:>8,}"
                )
    print(f"  RAM: state {library.state_bytes:,} bytes, stack at most {stack} bytes")


def _sizes(machine: BareMetal) -> tuple[int, int]:
    """Bytes of functions and of tables, the harness's own left out."""
    ours = {
        name: symbol
        for name, symbol in machine.symbols.items()
        if name not in ("run_clip", "memcpy", "memset") and "unwind" not in name
    }
    code = sum(symbol.size for symbol in ours.values() if symbol.is_function)
    tables = sum(
        symbol.size for symbol in ours.values() if not symbol.is_function and symbol.address < RAM
    )
    return code, tables


def _found(names: tuple[ToolchainName, ...]) -> list[Toolchain]:
    found = []
    for name in names:
        try:
            found.append(find_toolchain(name))
        except ToolchainError as error:
            print(f"  {error.message}")
    return found


def _speed(library: FrontendLibrary, clips: int = 2000) -> None:
    """The best of five runs on one core: what the machine can do when left alone."""
    rng = np.random.default_rng(1)
    pcm = rng.integers(-3000, 3000, (clips, library.frontend.clip_samples)).astype(np.int16)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        library.features(pcm)
        seconds.append(time.perf_counter() - start)
    print(f"  host: {clips / min(seconds):,.0f} clips of 1 s a second on one core")


def _distance(library: FrontendLibrary, archive: Path | None) -> None:
    frontend = library.frontend
    clips = signals.stacked(signals.ordinary(frontend)) if archive is None else _speech(archive)
    ours = library.features(clips) * 2.0 ** -fraction_bits(frontend)
    theirs = np.concatenate(
        [reference.librosa_features(frontend, part) for part in np.array_split(clips, 16)]
    )
    correlations = [
        np.corrcoef(ours[..., i].ravel(), theirs[..., i].ravel())[0, 1]
        for i in range(frontend.features)
    ]
    errors = np.abs(ours - theirs)
    print(
        f"  librosa, {len(clips):,} clips of {'speech' if archive else 'made signals'}: "
        f"correlation at least {min(correlations):.7f} a feature, worst error "
        f"{errors.max():.3f}, mean error {errors.mean():.4f} (log2 units of 3.01 dB)"
    )
    print(
        f"  features: mean {ours.mean():.2f}, standard deviation {ours.std():.2f}, from "
        f"{ours.min():.2f} to {ours.max():.2f}"
    )


def _speech(archive: Path) -> NDArray[np.int16]:
    clips = []
    with tarfile.open(archive) as members:
        for member in members:
            content = members.extractfile(member) if member.name.endswith(".wav") else None
            if content is None or "_background_noise_" in member.name:
                continue
            with wave.open(io.BytesIO(content.read())) as file:
                samples = np.frombuffer(file.readframes(16_000), "<i2")
            clips.append(np.pad(samples, (0, 16_000 - len(samples))).astype(np.int16))
    return np.stack(clips)


if __name__ == "__main__":
    main()
