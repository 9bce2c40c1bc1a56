"""Reports: ``report.json`` is the source; terminal, Markdown and JUnit are views of it."""

from __future__ import annotations

from edgeprune.reports.junit import junit
from edgeprune.reports.markdown import markdown
from edgeprune.reports.report import Identities, Report, TargetSummary
from edgeprune.reports.terminal import show

__all__ = ["Identities", "Report", "TargetSummary", "junit", "markdown", "show"]
