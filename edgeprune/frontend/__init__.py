"""The audio front-end: 16-bit PCM to log-mel or MFCC features, in fixed point, in C.

``c/`` is the implementation; what is here generates its tables and binds it on this machine. The
same files run on every core and give the same bits there.
"""

from __future__ import annotations

from edgeprune.frontend.generate import fraction_bits, identity, sources
from edgeprune.frontend.library import FrontendLibrary, FrontendStream
from edgeprune.frontend.quantization import InputQuantization

__all__ = [
    "FrontendLibrary",
    "FrontendStream",
    "InputQuantization",
    "fraction_bits",
    "identity",
    "sources",
]
