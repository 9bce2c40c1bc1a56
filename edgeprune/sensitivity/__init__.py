"""Which layers to prune: loss by layer against what the zeros save on a target.

``invoke prune --sensitivity`` prunes every layer alone (:mod:`edgeprune.pruning.sensitivity`), asks
the code generator what each network would cost on the target, counts the dense one there, and
divides the sparsity so that as much is saved at the least loss.
"""

from edgeprune.sensitivity.costs import Resource
from edgeprune.sensitivity.examination import Division, Examination, examine
from edgeprune.sensitivity.files import check_written, examination_files, known_resource
from edgeprune.sensitivity.views import advice, examination_tables

__all__ = [
    "Division",
    "Examination",
    "Resource",
    "advice",
    "check_written",
    "examination_files",
    "examination_tables",
    "examine",
    "known_resource",
]
