"""What training clips go through, drawn anew in every epoch; no other split ever comes here.

All draws depend on the seed and the epoch alone, so a run can be repeated, and the clips of the
next epoch can be prepared beside the training without changing what is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from edgeprune.errors import DatasetError
from edgeprune.recipe import Augmentation

__all__ = ["Augmenter", "Draws"]

#: Told apart in the seed sequence, so that masks don't repeat the draws of the clips.
_CLIPS, _MASKS = 1, 2

_FULL_SCALE = 32767.0


@dataclass(frozen=True)
class Draws:
    """What was drawn for each clip of an epoch; all arrays have one value a clip.

    Attributes:
        shift: float32, samples; positive moves the sound later.
        speed: float32, a factor; above one is faster and higher.
        gain: float32, a factor on the amplitude.
        noise: int64, the index of the background recording; -1 for none.
        noise_start: float64, where its crop starts, as a fraction of what can be chosen from.
        snr_db: float32, the power of the clip over the power of the noise, in dB.
    """

    shift: NDArray[np.float32]
    speed: NDArray[np.float32]
    gain: NDArray[np.float32]
    noise: NDArray[np.int64]
    noise_start: NDArray[np.float64]
    snr_db: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.shift)

    def __getitem__(self, rows: slice) -> Draws:
        return Draws(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


class Augmenter:
    """Changes training clips, and masks their features.

    Args:
        declaration: how much of what.
        sample_rate_hz: of the clips and of the noise.
        noise: background recordings, each int16 [samples]; shorter ones than a clip are repeated.
        seed: the recipe's seed.

    Raises:
        DatasetError: the declaration asks for background noise and there is none.
    """

    def __init__(
        self,
        declaration: Augmentation,
        *,
        sample_rate_hz: int,
        noise: Sequence[NDArray[np.int16]],
        seed: int,
    ) -> None:
        usable = [recording for recording in noise if recording.size and recording.any()]
        if declaration.noise_percent and not usable:
            raise DatasetError(
                "the data set has no background noise to mix into the training clips",
                where="augmentation.noise_percent",
                hint="give the data set background recordings, or set noise_percent = 0",
            )
        self._declaration = declaration
        self._sample_rate_hz = sample_rate_hz
        self._noise = [recording.astype(np.float32) for recording in usable]
        self._seed = seed

    @property
    def changes_clips(self) -> bool:
        """Whether any change of the samples is asked for."""
        spec = self._declaration
        return bool(spec.time_shift_ms or spec.gain_db or spec.speed_percent or spec.noise_percent)

    def draw(self, clips: int, epoch: int) -> Draws:
        """Draw the changes of every clip of an epoch."""
        spec = self._declaration
        rng = np.random.default_rng([self._seed, epoch, _CLIPS])
        reach = spec.time_shift_ms * self._sample_rate_hz / 1000
        shift = rng.uniform(-reach, reach, clips)
        speed = 1 + rng.uniform(-spec.speed_percent, spec.speed_percent, clips) / 100
        gain = 10 ** (rng.uniform(-spec.gain_db, spec.gain_db, clips) / 20)
        noisy = rng.uniform(0, 100, clips) < spec.noise_percent
        noise = rng.integers(0, max(len(self._noise), 1), clips)
        return Draws(
            shift=shift.astype(np.float32),
            speed=speed.astype(np.float32),
            gain=gain.astype(np.float32),
            noise=np.where(noisy, noise, -1),
            noise_start=rng.uniform(0, 1, clips),
            snr_db=rng.uniform(spec.snr_low_db, spec.snr_high_db, clips).astype(np.float32),
        )

    def apply(self, clips: NDArray[np.int16], draws: Draws) -> NDArray[np.int16]:
        """Change clips as drawn: speed and shift, gain, then noise.

        Args:
            clips: int16 [clips, samples].
            draws: one draw a clip.

        Returns:
            int16 [clips, samples], saturated, the input untouched.
        """
        changed = np.empty_like(clips)
        times = np.arange(clips.shape[1], dtype=np.float32)
        for row, clip in enumerate(clips):
            sound = _resampled(clip, times, draws.shift[row], draws.speed[row])
            sound *= draws.gain[row]
            if draws.noise[row] >= 0:
                crop = self._crop(draws.noise[row], draws.noise_start[row], len(sound))
                sound += crop * _noise_level(sound, crop, float(draws.snr_db[row]))
            np.clip(sound, -_FULL_SCALE - 1, _FULL_SCALE, out=sound)
            changed[row] = np.rint(sound, out=sound)
        return changed

    def _crop(self, index: int, start: float, samples: int) -> NDArray[np.float32]:
        recording = self._noise[index]
        if len(recording) < samples:
            recording = np.tile(recording, -(-samples // len(recording)))
        first = int(start * (len(recording) - samples + 1))
        return recording[first : first + samples]

    def mask(self, inputs: NDArray[np.float32], epoch: int, batch: int) -> NDArray[np.float32]:
        """Blank out stretches of frames and bands of features: SpecAugment (Park et al. 2019).

        Args:
            inputs: float32 [clips, frames, features], normalized, so that zero is the mean.
            epoch: of the training.
            batch: within the epoch.

        Returns:
            ``inputs`` itself when no mask is asked for, otherwise a masked copy.
        """
        spec = self._declaration
        if not (spec.time_masks or spec.frequency_masks):
            return inputs
        rng = np.random.default_rng([self._seed, epoch, _MASKS, batch])
        clips, frames, features = inputs.shape
        keep_frames = _kept(rng, clips, frames, spec.time_masks, spec.time_mask_frames)
        keep_bins = _kept(rng, clips, features, spec.frequency_masks, spec.frequency_mask_bins)
        masked: NDArray[np.float32] = inputs * keep_frames[:, :, None] * keep_bins[:, None, :]
        return masked


def _resampled(
    clip: NDArray[np.int16], times: NDArray[np.float32], shift: np.float32, speed: np.float32
) -> NDArray[np.float32]:
    """Play a clip at another speed around its middle, then move it; silence from beyond its ends.

    Linear interpolation: its loss at high frequencies is far below what augmentation changes.
    """
    padded = np.zeros(len(clip) + 3, dtype=np.float32)
    padded[1:-2] = clip
    middle = np.float32((len(clip) - 1) / 2)
    position = (times - middle - shift) * speed + (middle + 1)
    np.clip(position, 0, len(clip) + 1, out=position)
    before = position.astype(np.int32)
    weight = position - before
    left = padded[before]
    return left + (padded[before + 1] - left) * weight


def _noise_level(
    sound: NDArray[np.float32], noise: NDArray[np.float32], snr_db: float
) -> np.float32:
    """The factor on ``noise`` that puts ``sound`` ``snr_db`` above it, by mean power."""
    sound_power, noise_power = _power(sound), _power(noise)
    if noise_power == 0:
        return np.float32(0)
    return np.float32(np.sqrt(sound_power / noise_power / 10 ** (snr_db / 10)))


def _power(sound: NDArray[np.float32]) -> float:
    """The sum of squares; not by np.dot, whose BLAS threads fight the training for the cores."""
    return float(np.square(sound).sum())


def _kept(
    rng: np.random.Generator, clips: int, size: int, masks: int, longest: int
) -> NDArray[np.float32]:
    """Ones where a position is kept: ``masks`` runs of up to ``longest`` are zero in each row."""
    kept = np.ones((clips, size), dtype=np.float32)
    positions = np.arange(size)
    for _ in range(masks):
        length = rng.integers(0, longest + 1, (clips, 1))
        start = (rng.uniform(0, 1, (clips, 1)) * (size - length + 1)).astype(np.int64)
        kept[(positions >= start) & (positions < start + length)] = 0
    return kept
