"""MLPerf Tiny's keyword network: its arithmetic, its published weights, and files that are not."""

from __future__ import annotations

import io
import pickle
import tarfile
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprune.errors import MalformedModelError, ModelError
from edgeprune.models.cost import cost
from edgeprune.models.mlperf_kws import LABELS
from edgeprune.models.registry import Shape, build, initialize
from edgeprune.recipe import MlperfKws

WIDTH = 8
SHAPE = Shape(frames=49, features=10, labels=12)
RECIPE = ("_silence_", "_unknown_", "yes", "no", "up", "down")

Arrays = dict[str, NDArray[Any]]


def declaration(path: Path | str | None, **options: Any) -> MlperfKws:
    weights = None if path is None else str(path)
    return MlperfKws(kind="mlperf-kws", **{"width": WIDTH, "weights": weights, **options})


def arrays() -> Arrays:
    """Random weights in the published layout, of a narrow network."""
    rng = np.random.default_rng(5)

    def values(*shape: int) -> NDArray[np.float32]:
        return rng.uniform(0.1, 1.0, shape).astype(np.float32)

    layers = [("conv", {"kernel": (10, 4, 1, WIDTH), "bias": (WIDTH,)})]
    norm = dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), (WIDTH,))
    for _ in range(4):
        layers.append(("bn", norm))
        layers.append(("dw", {"depthwise_kernel": (3, 3, WIDTH, 1), "bias": (WIDTH,)}))
        layers.append(("bn", norm))
        layers.append(("pw", {"kernel": (1, 1, WIDTH, WIDTH), "bias": (WIDTH,)}))
    layers += [("bn", norm), ("dense", {"kernel": (WIDTH, 12), "bias": (12,)})]
    return {
        f"{number:02d}_{kind}/{name}": values(*shape)
        for number, (kind, shapes) in enumerate(layers)
        for name, shape in shapes.items()
    }


def saved(folder: Path, content: Arrays) -> Path:
    path = folder / "weights.npz"
    np.savez(path, **content)
    return path


def loaded(path: Path, labels: tuple[str, ...] = LABELS, **options: Any) -> Any:
    model = declaration(path, **options)
    network = build(model, Shape(49, 10, len(labels)), seed=1)
    return initialize(network, model, labels)


def test_it_is_the_published_network() -> None:
    """MLPerf Tiny's reference: 2,656,768 MACs; 24,908 parameters that are deployed."""
    network = build(declaration(None, width=64), SHAPE, seed=1)
    assert cost(network).macs == 2_656_768
    assert network.get_layer("mean").pool_size == (24, 5)
    assert network.get_layer("mean").output.shape == (None, 1, 1, 64)
    assert all(layer.use_bias for layer in network.layers if hasattr(layer, "use_bias"))
    norms = [layer for layer in network.layers if hasattr(layer, "moving_mean")]
    assert len(norms) == 9
    assert all(layer.epsilon == 1e-3 for layer in norms)


def test_the_last_of_25_positions_goes_unheard() -> None:
    """The published pool covers 24 of them."""
    network = build(declaration(None), SHAPE, seed=1)
    clip = np.random.default_rng(0).normal(size=(1, 49, 10, 1)).astype(np.float32)
    from edgeprune.models.backend import keras

    positions = keras.Model(network.input, network.get_layer("block4_pointwise_relu").output)(clip)
    pooled = keras.Model(network.input, network.get_layer("mean").output)(clip)
    expected = positions.numpy()[:, :24].mean(axis=(1, 2))
    assert np.allclose(pooled.numpy()[:, 0, 0], expected, atol=1e-5)


def test_the_arrays_go_where_their_names_say(tmp_path: Path) -> None:
    content = arrays()
    network = loaded(saved(tmp_path, content))
    for name, layer, weight in (
        ("00_conv/kernel", "stem", "kernel"),
        ("01_bn/moving_variance", "stem_norm", "moving_variance"),
        ("02_dw/depthwise_kernel", "block1_depthwise", "kernel"),
        ("10_dw/bias", "block3_depthwise", "bias"),
        ("16_pw/kernel", "block4_pointwise", "kernel"),
        ("17_bn/beta", "block4_pointwise_norm", "beta"),
        ("18_dense/kernel", "classifier", "kernel"),
    ):
        stored = getattr(network.get_layer(layer), weight).numpy()
        assert np.array_equal(stored, content[name]), name


def test_scores_are_put_in_the_recipes_order(tmp_path: Path) -> None:
    path = saved(tmp_path, arrays())
    clips = np.random.default_rng(0).normal(size=(3, 49, 10, 1)).astype(np.float32)
    every, some = loaded(path)(clips).numpy(), loaded(path, RECIPE)(clips).numpy()
    for column, label in enumerate(RECIPE):
        assert np.allclose(some[:, column], every[:, LABELS.index(label)], atol=1e-5), label


def test_a_label_that_it_never_heard_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, arrays())
    with pytest.raises(ModelError, match="no score for the label 'marvin'; it knows down, go"):
        loaded(path, ("yes", "marvin"))


def without(name: str) -> Callable[[Arrays], None]:
    return lambda content: content.__delitem__(name)


def with_array(name: str, values: NDArray[Any]) -> Callable[[Arrays], None]:
    return lambda content: content.__setitem__(name, values)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (without("08_pw/bias"), "does not hold the array 08_pw/bias"),
        (with_array("19_dense/bias", np.ones(2, np.float32)), "holds the array 19_dense/bias"),
        (
            with_array("04_pw/kernel", np.ones((1, 1, 8, 9), np.float32)),
            r"04_pw/kernel of shape \[1, 1, 8, 9\]; the network needs \[1, 1, 8, 8\]",
        ),
        (
            with_array("18_dense/bias", np.ones(11, np.float32)),
            r"18_dense/bias of shape \[11\]; the network needs \[12\]",
        ),
        (with_array("00_conv/bias", np.ones(8, np.int8)), "00_conv/bias as int8"),
        (
            with_array("00_conv/bias", np.full(8, np.nan, np.float32)),
            "00_conv/bias as float32 with values that are not finite",
        ),
    ],
)
def test_another_networks_file_is_refused(
    change: Callable[[Arrays], None], says: str, tmp_path: Path
) -> None:
    content = arrays()
    change(content)
    path = saved(tmp_path, content)
    with pytest.raises(ModelError, match=says) as caught:
        loaded(path)
    assert caught.value.where == str(path)


def test_another_width_names_both_shapes(tmp_path: Path) -> None:
    path = saved(tmp_path, arrays())
    with pytest.raises(ModelError, match=r"\[10, 4, 1, 8\]; the network needs \[10, 4, 1, 12\]"):
        loaded(path, width=12)


def test_a_missing_file_names_the_key(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist") as caught:
        loaded(tmp_path / "absent.npz")
    assert caught.value.where == f"model.weights: {tmp_path / 'absent.npz'}"
    with pytest.raises(ModelError, match="is not a file"):
        loaded(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(share: float, tmp_path: Path) -> None:
    path = saved(tmp_path, arrays())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(MalformedModelError, match=r"is not a whole \.npz file"):
        loaded(path)


class Trap:
    """Unpickling it would be noticed."""

    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("a pickle was opened",)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(MalformedModelError):
        loaded(path)
    content = arrays()
    content["00_conv/bias"] = np.array([Trap()], dtype=object)
    np.savez(path, **content)
    with pytest.raises(MalformedModelError):
        loaded(path)


def test_a_single_array_is_no_npz_file(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    buffer = io.BytesIO()
    np.save(buffer, np.ones(3))
    path.write_bytes(buffer.getvalue())
    with pytest.raises(MalformedModelError):
        loaded(path)


def mfcc(clips: NDArray[np.int16]) -> NDArray[np.float32]:
    """The published front-end: [clips, 16000] at 16 kHz to [clips, 49, 10].

    Each clip divided by its maximum; magnitudes of 30 ms under a periodic Hann window; 40 HTK mel
    bins from 20 to 4000 Hz, the lowest frequency left out; logarithm; orthonormal DCT-II whose
    first coefficient is larger by the root of 2.
    """
    scaled = clips / np.maximum(clips.max(axis=1, keepdims=True), 1)
    frames = np.lib.stride_tricks.sliding_window_view(scaled, 480, axis=1)[:, ::320]
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(481)[:480], 512))
    mels = 2595 * np.log10(1 + np.arange(257)[:, None] * 16_000 / 512 / 700)
    edges = np.linspace(2595 * np.log10(1 + 20 / 700), 2595 * np.log10(1 + 4_000 / 700), 42)
    low, center, high = edges[:-2], edges[1:-1], edges[2:]
    filters = np.minimum((mels - low) / (center - low), (high - mels) / (high - center)).clip(0)
    filters[0] = 0
    angles = np.pi / 40 * (np.arange(40)[:, None] + 0.5) * np.arange(10)
    cepstrum = np.log(spectrum @ filters + 1e-6) @ (np.sqrt(2 / 40) * np.cos(angles))
    return np.asarray(cepstrum, dtype=np.float32)


def test_the_published_weights_hear_what_was_said(shared_data: Path, shared_models: Path) -> None:
    """A hundred clips; the published accuracy on all of the official ones is 92 %."""
    clips: list[NDArray[np.int16]] = []
    said: list[int] = []
    with tarfile.open(shared_data / "speech_commands_mini_test_set_v0.02.tar.gz") as archive:
        for member in archive:
            label = Path(member.name).parent.name
            if label in LABELS and said.count(LABELS.index(label)) < 10:
                content = archive.extractfile(member)
                assert content is not None
                with wave.open(content) as recording:
                    pcm = np.frombuffer(recording.readframes(16_000), np.int16)
                clips.append(np.pad(pcm, (0, 16_000 - len(pcm))))
                said.append(LABELS.index(label))
    network = loaded(shared_models / "mlperf_tiny_kws_ref_weights.npz", width=64)
    heard = network(mfcc(np.stack(clips))[..., None]).numpy().argmax(axis=1)
    assert len(said) >= 100
    assert np.mean(heard == said) >= 0.88
