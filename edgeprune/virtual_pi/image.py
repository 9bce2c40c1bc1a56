"""The image of the virtual Pi: kernel, initial file system and disk, built once and kept."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from edgeprune.errors import DeviceError, ProcessError
from edgeprune.process import run
from edgeprune.progress import Progress
from edgeprune.virtual_pi import cpio, debian, guest_files
from edgeprune.virtual_pi.kernel_modules import in_order
from edgeprune.virtual_pi.keys import make_key_pair
from edgeprune.virtual_pi.programs import search_path

__all__ = ["PACKAGES", "Image", "build", "image_key"]

PACKAGES = (
    *("alsa-utils", "base-files", "bash", "busybox-static", "coreutils", "dash", "dbus"),
    *("dbus-user-session", "diffutils", "findutils", "grep", "gzip", "hostname", "iproute2"),
    *("libc-bin", "libpam-modules", "libpam-runtime", "libpam-systemd", "libstdc++6"),
    *("linux-image-cloud-arm64", "login", "openssh-server", "openssh-sftp-server", "passwd"),
    *("procps", "python3", "python3-venv", "sed", "systemd", "systemd-sysv", "tar", "util-linux"),
)
_HERE = Path(__file__).parent
#: What images and their snapshots depend on.
_SOURCES = ("cpio", "debian", "emulator", "guest_files", "image", "kernel_modules")
_DISK_GIB = 4
#: In the initial file system, with what they depend on.
_MODULES = ("virtio_mmio", "virtio_blk", "virtio_net", "ext4")
_UNPACK_LIMIT_S = 900.0
_DISK_LIMIT_S = 300.0


@dataclass(frozen=True)
class Image:
    """A folder with what QEMU boots.

    Attributes:
        folder: holds all of it.
    """

    folder: Path

    @property
    def kernel(self) -> Path:
        return self.folder / "kernel"

    @property
    def initrd(self) -> Path:
        return self.folder / "initrd"

    @property
    def root(self) -> Path:
        """The disk, raw, which nobody writes to."""
        return self.folder / "root.img"

    @property
    def host_key(self) -> str:
        """The public key of its SSH server: type and key."""
        return (self.folder / "host_key.pub").read_text().strip()


def image_key(user_key: str, qemu: str) -> str:
    """What an image is called: a hash of all that it, and its snapshots, are made of.

    Args:
        user_key: the public key that logs in.
        qemu: its version; another one may not read the snapshots.
    """
    sources = [(_HERE / f"{name}.py").read_bytes() for name in _SOURCES]
    parts = (user_key, qemu, debian.can_compile(), sources)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def build(folder: Path, user_key: str, progress: Progress) -> Image:
    """Build an image; half of one is never left where a whole one is looked for.

    Args:
        folder: becomes the image when it is whole.
        user_key: the public key that logs in as ``pi`` and as ``root``.
        progress: where work reports to.

    Raises:
        DeviceError: the packages can't be had, or a program fails.
    """
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        with tempfile.TemporaryDirectory(dir=part) as root:
            _build(Path(root), Image(part), user_key, progress)
        part.rename(folder)
    except ProcessError as error:
        raise DeviceError(
            f"the image of the virtual Pi can't be built: {error}",
            where=str(folder),
            hint="it needs Debian's mirrors, 2 GB of disk, and the packages debian-archive-keyring "
            "and, for an ordinary user, uidmap",
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Image(folder)


def _build(root: Path, image: Image, user_key: str, progress: Progress) -> None:
    root.chmod(0o755)
    with progress.task("unpack Debian for arm64"):
        debian.unpack(PACKAGES, root, limit_s=_UNPACK_LIMIT_S, unused=debian.UNUSED)
        debian.compile_python(root)
    with progress.task("make kernel and disk"):
        _take_kernel(root, image)
        host = make_key_pair()
        _write_files(root, user_key, host.private)
        (image.folder / "host_key.pub").write_text(f"{host.public}\n")
        _make_disk(root, image.root)


def _take_kernel(root: Path, image: Image) -> None:
    """Move the kernel out of the root, and what it needs to find the disk into an archive."""
    shutil.move(next((root / "boot").glob("vmlinuz-*")), image.kernel)
    modules = root / "lib" / "modules"
    folders = ("bin", "dev", "modules", "root")
    entries = [
        *(cpio.Entry(name) for name in folders),
        cpio.Entry("bin/busybox", (root / "bin/busybox").read_bytes(), executable=True),
        cpio.Entry("init", guest_files.INIT.encode(), executable=True),
    ]
    for number, path in enumerate(in_order(next(modules.iterdir()), _MODULES)):
        entries.append(cpio.Entry(f"modules/{number:02d}-{path.name}", path.read_bytes()))
    image.initrd.write_bytes(cpio.pack(entries))
    shutil.rmtree(modules)
    shutil.rmtree(root / "boot")


def _write_files(root: Path, user_key: str, host_key: bytes) -> None:
    secret = {
        "etc/ssh/ssh_host_ed25519_key": host_key.decode(),
        "etc/ssh/authorized_keys": f"{user_key}\n",
        "etc/machine-id": f"{secrets.token_hex(16)}\n",
    }
    for name, content in {**guest_files.FILES, **secret}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (root / "etc/ssh/ssh_host_ed25519_key").chmod(0o600)
    (root / "etc/shadow").chmod(0o600)
    for name in guest_files.FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name, target in guest_files.LINKS.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_symlink():
            path.symlink_to(target)
    now = time.time()
    for name in ("usr", "etc/.updated", "var/.updated"):
        os.utime(root / name, (now, now))


def _make_disk(root: Path, disk: Path) -> None:
    """A file system with the folder's content, all of it root's."""
    # An ordinary user is root in a namespace of his own, so that his files are root's there.
    as_root = () if os.geteuid() == 0 else ("unshare", "--map-root-user")
    run(
        [
            *as_root,
            *("mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-d", root),
            # What is not done now the kernel would do in the background of every measurement.
            *("-E", "lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0"),
            *(disk, f"{_DISK_GIB}G"),
        ],
        env={"PATH": search_path()},
        timeout_s=_DISK_LIMIT_S,
    )
