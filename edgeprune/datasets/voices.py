"""The speakers of synthetic speech: accents and voice variants of eSpeak NG, dealt to the splits.

A speaker is an accent with a variant. Many variants are near-copies of each other, so they stand
in families here, and a family is in one split only: the test's voices are then really unheard.
The families were found by measuring: six words in two accents, log-mel spectra aligned in time,
average linkage at a correlation of 0.95, and the numbered siblings put together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeprune.datasets.dataset import SPLITS

__all__ = ["ACCENTS", "FAMILIES", "deal"]

#: eSpeak NG's English, but for the Shavian alphabet's. Plain ``en`` is British.
ACCENTS = (
    "en",
    "en-029",
    "en-gb-scotland",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
    "en-gb-x-rp",
    "en-us",
    "en-us-nyc",
)

_LOW = """
    Reed adam benjamin caleb edward edward2 klatt klatt2 klatt3 klatt4 klatt5 klatt6 mike2,
    Diogo Henrique Hugo michel miguel, croak grandpa john m1 max, iven iven2 iven3 iven4,
    Alex m5 m6, RicishayMax RicishayMax2 RicishayMax3, Andy AnxiousAndy, Denis victor, Gene Gene2,
    Michael gustave, Mike m3, Nguyen m7, rob robert, Jacky, Lee, Marco, Mario, Storm, Tweaky,
    antonio, boris, david, ed, ian, kaukovalta, m2, m4, m8, marcelo, norbert, pablo, paul, pedro,
    quincy, sandro
"""
_HIGH = """
    steph steph2 steph3, Andrea, Annie, anika, aunty, belinda, f1, f2, f3, f4, f5, grandma,
    linda, shelby, travis
"""

#: Variants that sound alike, among low voices and among high ones (from about 160 Hz). Whispers,
#: robots, sound effects and two voices that resemble no other are left out.
FAMILIES = tuple(
    tuple(tuple(family.split()) for family in table.split(",")) for table in (_LOW, _HIGH)
)

#: The share of the variants that each split gets at least, in the order in which they are served.
_SHARES = {"test": 0.25, "validation": 0.15}


def deal(rng: np.random.Generator) -> dict[str, list[str]]:
    """Deal the families to the splits, about 60 : 15 : 25 by variants, of low voices and of high.

    Returns:
        For each split its speakers in a drawn order, as eSpeak NG names them: ``en-us+f3``.
    """
    dealt: dict[str, list[str]] = {split: [] for split in SPLITS}
    for families in FAMILIES:
        for split, variants in _deal_alike(families, rng).items():
            dealt[split] += variants
    speakers: dict[str, list[str]] = {}
    for split in SPLITS:
        pairs = [f"{accent}+{variant}" for accent in ACCENTS for variant in sorted(dealt[split])]
        speakers[split] = [pairs[index] for index in rng.permutation(len(pairs))]
    return speakers


def _deal_alike(
    families: Sequence[Sequence[str]], rng: np.random.Generator
) -> dict[str, list[str]]:
    total = sum(len(family) for family in families)
    dealt: dict[str, list[str]] = {split: [] for split in SPLITS}
    for index in rng.permutation(len(families)):
        hungry = (split for split, share in _SHARES.items() if len(dealt[split]) < share * total)
        dealt[next(hungry, "train")] += families[index]
    return dealt
