"""An image is whole or not there, and is another one when what it is made of changes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgeprune.errors import DeviceError, ImageError, ProcessError
from edgeprune.progress import SilentProgress
from edgeprune.virtual_pi import debian, guest_files, image, kernel_modules
from edgeprune.virtual_pi.image import build, image_key
from tests.virtual_pi.test_cpio import fields

USER_KEY = "ssh-ed25519 AAAA"


def module(folder: Path, name: str, *needs: str) -> None:
    """A file that says its dependencies where a kernel module does."""
    path = folder / f"{name}.ko"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(f"license=GPL\0depends={','.join(needs)}\0name={path.stem}\0".encode())


@pytest.fixture(autouse=True)
def without_elf(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules of these tests are their section .modinfo alone."""

    class File:
        def __init__(self, file: object) -> None:
            self.file = file

        def get_section_by_name(self, name: str) -> File | None:
            return self if name == ".modinfo" else None

        def data(self) -> bytes:
            content: bytes = self.file.read()  # type: ignore[attr-defined]
            return content

    monkeypatch.setattr(kernel_modules, "ELFFile", File)


def names(paths: list[Path]) -> list[str]:
    return [path.stem for path in paths]


def test_modules_come_after_what_they_need(tmp_path: Path) -> None:
    module(tmp_path, "net/virtio_net", "virtio", "net-failover")
    module(tmp_path, "net/net_failover", "failover")
    module(tmp_path, "net/failover")
    module(tmp_path, "virtio/virtio-mmio", "virtio_ring", "virtio")
    module(tmp_path, "virtio/virtio_ring", "virtio")
    module(tmp_path, "virtio/virtio")
    module(tmp_path, "unwanted")
    # ext4 is built in.
    found = names(kernel_modules.in_order(tmp_path, ["virtio_mmio", "ext4", "virtio_net"]))
    assert found == [
        *("virtio", "virtio_ring", "virtio-mmio"),
        *("failover", "net_failover", "virtio_net"),
    ]


def test_what_is_no_module_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module(tmp_path, "broken")
    monkeypatch.setattr(
        kernel_modules.ELFFile, "get_section_by_name", lambda self, name: None, raising=False
    )
    with pytest.raises(ImageError, match=r"broken\.ko: is not a kernel module"):
        kernel_modules.in_order(tmp_path, ["broken"])


@pytest.fixture
def unpacked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Replaces mmdebstrap by the few files that matter, and mke2fs by a copy of the folder."""
    folders: list[Path] = []

    def unpack(packages: object, root: Path, **options: object) -> None:
        folders.append(root)
        module(root / "lib/modules/6.1", "virtio_mmio")
        for name in ("boot/vmlinuz-6.1", "boot/config-6.1", "bin/busybox", "bin/dash", "usr/x"):
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(name.encode())

    def make_disk(root: Path, disk: Path) -> None:
        shutil.copytree(root, disk, symlinks=True)

    monkeypatch.setattr(debian, "unpack", unpack)
    monkeypatch.setattr(debian, "compile_python", lambda root: None)
    monkeypatch.setattr(image, "_make_disk", make_disk)
    return folders


@pytest.mark.usefixtures("unpacked")
def test_an_image_has_kernel_initial_files_disk_and_host_key(tmp_path: Path) -> None:
    built = build(tmp_path / "key", USER_KEY, SilentProgress())
    assert built.kernel.read_bytes() == b"boot/vmlinuz-6.1"
    members = {
        name: (numbers[1], content) for name, numbers, content in fields(built.initrd.read_bytes())
    }
    assert members["init"] == (0o100755, guest_files.INIT.encode())
    assert members["bin/busybox"] == (0o100755, b"bin/busybox")
    assert "modules/00-virtio_mmio.ko" in members
    root = built.root
    assert not (root / "boot").exists()
    assert not (root / "lib/modules").exists()
    assert (root / "etc/ssh/authorized_keys").read_text() == f"{USER_KEY}\n"
    key = root / "etc/ssh/ssh_host_ed25519_key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert built.host_key.startswith("ssh-ed25519 ")
    assert (root / "bin/sh").readlink() == Path("dash")
    assert (root / "var/lib/systemd/linger/pi").exists()
    newest = (root / "usr").stat().st_mtime
    assert (root / "etc/.updated").stat().st_mtime >= newest
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


@pytest.mark.usefixtures("unpacked")
def test_each_image_has_keys_of_its_own(tmp_path: Path) -> None:
    one, other = (build(tmp_path / name, USER_KEY, SilentProgress()) for name in "ab")
    assert one.host_key != other.host_key
    ids = {(each.root / "etc/machine-id").read_text() for each in (one, other)}
    assert len(ids) == 2


@pytest.mark.usefixtures("unpacked")
def test_a_build_that_failed_or_was_killed_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key.part").mkdir()
    (tmp_path / "key.part" / "left").touch()

    def fail(root: Path, disk: Path) -> None:
        disk.touch()
        raise ProcessError("mke2fs failed", command=["mke2fs"], output="no space left")

    make_disk = image._make_disk
    monkeypatch.setattr(image, "_make_disk", fail)
    with pytest.raises(DeviceError, match=r"(?s)can't be built: .*no space left"):
        build(tmp_path / "key", USER_KEY, SilentProgress())
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(image, "_make_disk", make_disk)
    assert not (build(tmp_path / "key", USER_KEY, SilentProgress()).folder / "left").exists()


def test_other_keys_emulators_or_sources_are_another_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = image_key(USER_KEY, "QEMU 7.2")
    assert image_key(USER_KEY, "QEMU 7.2") == key
    found = {key, image_key("ssh-ed25519 BBBB", "QEMU 7.2"), image_key(USER_KEY, "QEMU 8.0")}
    here = tmp_path / "sources"
    shutil.copytree(image._HERE, here)
    monkeypatch.setattr(image, "_HERE", here)
    assert image_key(USER_KEY, "QEMU 7.2") == key
    for name in ("guest_files.py", "emulator.py"):
        (here / name).write_text((here / name).read_text() + "\n")
        found.add(image_key(USER_KEY, "QEMU 7.2"))
    assert len(found) == 5


def test_no_account_has_a_password() -> None:
    for line in guest_files.FILES["etc/shadow"].splitlines():
        assert line.split(":")[1] == "*"
    assert "PasswordAuthentication no" in guest_files.FILES["etc/ssh/sshd_config"]
