"""Debian packages for arm64, unpacked into a folder: no root, and no script of theirs runs."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from edgeprune.process import run

__all__ = ["RELEASE", "UNUSED", "can_compile", "compile_python", "unpack"]

RELEASE = "bookworm"
#: What no machine of ours reads.
UNUSED = ("dev", "usr/share/doc", "usr/share/info", "usr/share/locale", "usr/share/man")
#: The Python of the release.
PYTHON = (3, 11)
_ENDS_WITH_PARENT = ("setpriv", "--pdeathsig", "TERM")
_ENDING_S = 10
_TAR_LIMIT_S = 300.0


def unpack(packages: Iterable[str], root: Path, *, limit_s: float, unused: Sequence[str]) -> None:
    """Unpack packages and those that they require; every file belongs to the user who runs this.

    Args:
        packages: their names.
        root: a folder that is there.
        limit_s: seconds that fetching and unpacking may take.
        unused: paths that are left out.

    Raises:
        ProcessError: mmdebstrap is absent or failed; no mirror, for example.
    """
    with tempfile.TemporaryDirectory(prefix="edgeprune-debian-") as name:
        folder = Path(name)
        # An ordinary user's mmdebstrap works as another of his ids.
        folder.chmod(0o755)
        archive = folder / "root.tar"
        # mmdebstrap is asked to end, and then removes its own temporary folder, when the time is
        # up, and when this process or `timeout` dies, however that comes.
        run(
            [
                *_ENDS_WITH_PARENT,
                *("timeout", "-k", f"{_ENDING_S}", f"{limit_s:g}"),
                *_ENDS_WITH_PARENT,
                *("mmdebstrap", "--quiet", "--variant=extract", "--architectures=arm64"),
                f"--include={','.join(packages)}",
                *(f"--aptopt={option}" for option in _apt_options()),
                *(RELEASE, archive),
            ],
            timeout_s=limit_s + 2 * _ENDING_S,
        )
        excluded = [f"--exclude=./{path}" for path in unused]
        run(
            ["tar", "-xp", "--no-same-owner", *excluded, "-f", archive, "-C", root],
            timeout_s=_TAR_LIMIT_S,
        )


def can_compile() -> bool:
    """Whether this Python's bytecode is that of the release."""
    return sys.version_info[:2] == PYTHON


def compile_python(root: Path) -> None:
    """Compile the standard library where this Python can; it saves seconds at each start there."""
    if can_compile():
        library = "usr/lib/python{}.{}".format(*PYTHON)
        run([sys.executable, "-m", "compileall", "-q", "-d", f"/{library}", root / library])


def _apt_options() -> list[str]:
    """This machine's own way to the mirrors: proxies, retries, checks of dates."""
    wanted = ("Acquire::http", "Acquire::https", "Acquire::Check", "Acquire::Retries")
    dump = run(["apt-config", "dump", "--no-empty", "Acquire"])
    return [line.rstrip(";") for line in dump.splitlines() if line.startswith(wanted)]
