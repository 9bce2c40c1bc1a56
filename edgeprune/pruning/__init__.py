"""Pruning: criteria × structures × schedules, and channel surgery.

A criterion scores weights, a structure turns scores into masks, a schedule says how much is taken
out when. Only :mod:`~edgeprune.pruning.surgery` and :mod:`~edgeprune.pruning.pruner` import
TensorFlow.
"""
