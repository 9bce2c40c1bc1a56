"""Networks and their training.

Importing this package does not import TensorFlow; :mod:`edgeprune.models.normalization` and
:mod:`edgeprune.models.batches` never do, the other modules do.
"""

from edgeprune.models.normalization import Normalization

__all__ = ["Normalization"]
