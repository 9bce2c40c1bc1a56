"""A user in a folder of her own, who runs tasks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass
class User:
    """A user in a folder of her own.

    Attributes:
        folder: where she works; ``build`` appears in it.
    """

    folder: Path

    def arguments(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "invoke", "--search-root", str(REPOSITORY), *arguments]

    def run(self, *arguments: str, blocked: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """Run a task; ``blocked`` packages can't be imported."""
        environment = dict(os.environ)
        if blocked:
            block = self.folder / "blocked"
            for name in blocked:
                (block / name).mkdir(parents=True, exist_ok=True)
                text = f"raise ImportError('{name} is blocked', name='{name}')\n"
                (block / name / "__init__.py").write_text(text, encoding="utf-8")
            environment["PYTHONPATH"] = str(block)
        return subprocess.run(
            self.arguments(*arguments),
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
