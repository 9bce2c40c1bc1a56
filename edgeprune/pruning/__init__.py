"""Pruning: criteria × structures × schedules, and channel surgery.

A criterion scores what a structure takes out at once, an allocation divides the sparsity among
layers, a structure turns scores into masks, and a schedule says how much is taken out when. All of
these work on NumPy arrays. Only what holds a network imports TensorFlow:
:mod:`~edgeprune.pruning.surgery`, :mod:`~edgeprune.pruning.evidence`,
:mod:`~edgeprune.pruning.batchnorm`, :mod:`~edgeprune.pruning.patient` and
:mod:`~edgeprune.pruning.pruner`.
"""
