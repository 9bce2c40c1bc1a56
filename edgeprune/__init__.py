"""Train, prune, compile and prove keyword-spotting models for microcontrollers."""

from __future__ import annotations

__version__ = "0.1.0"
