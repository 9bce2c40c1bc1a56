"""The Debian arm64 root of the box: extracted from packages once, kept in the user's cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgeprune.errors import ProcessError
from edgeprune.virtual_pi.debian import RELEASE, UNUSED, can_compile, compile_python, unpack

__all__ = ["RELEASE", "Unavailable", "cache_folder", "find_program", "root_folder"]

PACKAGES = (
    *("base-files", "bash", "coreutils", "dash", "diffutils", "findutils", "grep", "gzip"),
    *("hostname", "libc-bin", "libstdc++6", "openssh-server", "openssh-sftp-server", "procps"),
    *("python3", "python3-venv", "sed", "tar", "util-linux"),
)
#: Raise it when what is done to the root after the packages changes.
REVISION = 1
BUILD_LIMIT_S = 240.0

#: What the packages' post-install scripts would have written. They don't run: under emulation they
#: take minutes.
FILES = {
    "etc/passwd": """\
root:*:0:0:root:/root:/bin/bash
sshd:*:101:65534::/run/sshd:/usr/sbin/nologin
nobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
pi:x:1000:1000:,,,:/home/pi:/bin/bash
""",
    "etc/group": """\
root:x:0:
tty:x:5:
audio:x:29:pi
nogroup:x:65534:
pi:x:1000:
""",
    "etc/shadow": """\
root:*:19000:0:99999:7:::
sshd:*:19000:0:99999:7:::
nobody:*:19000:0:99999:7:::
pi:*:19000:0:99999:7:::
""",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n",
    "etc/hosts": "127.0.0.1 localhost raspberrypi\n",
    "etc/hostname": "raspberrypi\n",
}


class Unavailable(Exception):
    """This machine can't have an aarch64 box; the message says what is missing."""


def find_program(name: str, package: str) -> str:
    """The path of a program.

    Raises:
        Unavailable: it is not installed.
    """
    path = shutil.which(name)
    if path is None:
        raise Unavailable(f"{name} is not installed (apt-get install {package})")
    return path


def cache_folder() -> Path:
    """Where roots are kept, outside the checkout."""
    home = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not home.is_absolute():
        home = Path.home() / ".cache"
    return home / "edgeprune" / "aarch64-roots"


def root_folder(cache: Path) -> Path:
    """The root in ``cache``, built if it is not there; several processes may ask at once.

    Raises:
        Unavailable: a tool or the mirrors are missing.
    """
    complete = cache / f"{RELEASE}-{_key()}"
    if complete.is_dir():
        return complete
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(complete.with_suffix(".lock")):
        if not complete.is_dir():
            part = complete.with_suffix(".part")
            # A build that was killed.
            shutil.rmtree(part, ignore_errors=True)
            try:
                part.mkdir()
                _build(part)
                part.rename(complete)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    return complete


def _key() -> str:
    parts = (RELEASE, PACKAGES, UNUSED, FILES, REVISION, can_compile())
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(root: Path) -> None:
    _extract(root)
    for name, content in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (root / "dev").mkdir(exist_ok=True)
    (root / "home" / "pi").mkdir(parents=True)
    shell = root / "bin" / "sh"
    if not shell.is_symlink():
        shell.symlink_to("dash")
    which = root / "usr" / "bin" / "which"
    if not which.is_symlink():
        which.symlink_to("which.debianutils")
    compile_python(root)


def _extract(root: Path) -> None:
    """Unpack the packages; every file belongs to the user who runs this."""
    find_program("mmdebstrap", "mmdebstrap")
    try:
        unpack(PACKAGES, root, limit_s=BUILD_LIMIT_S, unused=UNUSED)
    except ProcessError as error:
        raise Unavailable(
            f"the packages of Debian {RELEASE} for arm64 can't be had: {error}"
        ) from error
