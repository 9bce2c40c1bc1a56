"""Accuracy, latency and memory of a model on a device."""

from __future__ import annotations
