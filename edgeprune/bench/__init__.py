"""Side by side: what a network costs on every core, with and without each optimization."""

from __future__ import annotations

from edgeprune.bench.peers import Peer, Peers, Published
from edgeprune.bench.records import BenchRecord, records_json
from edgeprune.bench.reference_model import reference_model
from edgeprune.bench.run import Bench, run_bench
from edgeprune.bench.variants import VARIANTS, BenchVariant
from edgeprune.bench.views import bench_markdown, bench_tables

__all__ = [
    "VARIANTS",
    "Bench",
    "BenchRecord",
    "BenchVariant",
    "Peer",
    "Peers",
    "Published",
    "bench_markdown",
    "bench_tables",
    "records_json",
    "reference_model",
    "run_bench",
]
