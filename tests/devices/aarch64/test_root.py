"""The root is built once, whole or not at all; what is missing is named."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from tests.devices.aarch64 import box, machine, root
from tests.devices.aarch64.machine import Unavailable, aarch64_or_skip, start
from tests.devices.aarch64.root import cache_folder, root_folder


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Replaces the build by a slow one of a single file; lists what was built."""
    built: list[Path] = []

    def build(folder: Path) -> None:
        built.append(folder)
        threading.Event().wait(0.2)
        (folder / "file").write_text("content")

    monkeypatch.setattr(root, "_build", build)
    return built


def test_processes_that_ask_at_once_share_one_build(builds, tmp_path) -> None:
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(root_folder(tmp_path / "cache")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(builds) == 1
    assert len(found) == 4
    assert len(set(found)) == 1
    assert (found[0] / "file").read_text() == "content"


def test_a_build_that_failed_or_was_killed_is_begun_again(builds, tmp_path, monkeypatch) -> None:
    complete = root_folder(tmp_path)
    part = complete.with_suffix(".part")
    complete.rename(part)
    (part / "left").touch()
    good = root._build

    def fail(folder: Path) -> None:
        assert not (folder / "left").exists()
        (folder / "half").touch()
        raise Unavailable("no network")

    monkeypatch.setattr(root, "_build", fail)
    with pytest.raises(Unavailable, match="no network"):
        root_folder(tmp_path)
    assert not complete.exists()
    assert not part.exists()
    monkeypatch.setattr(root, "_build", good)
    assert sorted(path.name for path in root_folder(tmp_path).iterdir()) == ["file"]


def test_other_packages_are_another_root(builds, tmp_path, monkeypatch) -> None:
    first = root_folder(tmp_path)
    assert root_folder(tmp_path) == first
    monkeypatch.setattr(root, "PACKAGES", (*root.PACKAGES, "mount"))
    assert root_folder(tmp_path) != first
    assert len(builds) == 2


def test_roots_are_kept_where_the_user_keeps_caches(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "edgeprune" / "aarch64-roots"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path.home() / ".cache" / "edgeprune" / "aarch64-roots"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of the PATH, with programs that do nothing."""
    folder = tmp_path / "programs"
    folder.mkdir()
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "timeout", "tar", "setpriv", "apt-config"):
        (tools / name).symlink_to(shutil.which(name) or "/nonexistent")
    for name in ("ssh", "ssh-keygen", "qemu-aarch64-static", "unshare", "mmdebstrap"):
        _write_program(folder / name, "exit 0")
    monkeypatch.setenv("PATH", f"{folder}:{tools}")
    monkeypatch.setattr(machine, "require_kernel", lambda: None)
    return folder


def _write_program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("program", "package"),
    [
        ("ssh", "openssh-client"),
        ("qemu-aarch64-static", "qemu-user-static"),
        ("unshare", "util-linux"),
        ("mmdebstrap", "mmdebstrap"),
    ],
)
def test_a_missing_program_is_named_with_its_package(programs, tmp_path, program, package) -> None:
    (programs / program).unlink()
    with pytest.raises(Unavailable, match=rf"{program} is not installed .*{package}\)"):
        start(tmp_path / "machine", tmp_path / "cache")
    assert list(tmp_path.glob("cache/*.part")) == []


def test_missing_mirrors_are_told_with_what_mmdebstrap_said(programs, tmp_path) -> None:
    _write_program(programs / "mmdebstrap", "echo E: no route to mirror >&2; exit 25")
    with pytest.raises(Unavailable, match=r"(?s)arm64 can't be had.*no route to mirror"):
        start(tmp_path / "machine", tmp_path / "cache")


def test_refused_namespaces_are_told_with_what_unshare_said(builds, programs, tmp_path) -> None:
    _write_program(programs / "ssh-keygen", 'exec /usr/bin/ssh-keygen "$@"')
    _write_program(programs / "unshare", "echo unshare failed: not permitted >&2; exit 1")
    with pytest.raises(Unavailable, match=r"refused here: unshare failed: not permitted"):
        start(tmp_path / "machine", tmp_path / "cache")
    assert not (tmp_path / "machine").exists()


def test_an_older_kernel_is_refused(monkeypatch) -> None:
    system, node, _, version, architecture = os.uname()
    release = "6.7.0"
    monkeypatch.setattr(
        os, "uname", lambda: os.uname_result((system, node, release, version, architecture))
    )
    box.require_kernel()
    release = "6.18.4-custom"
    box.require_kernel()
    release = "6.6.31+rpt-rpi-v8"
    with pytest.raises(Unavailable, match=r"Linux 6\.6\.31\+rpt-rpi-v8 has no private"):
        box.require_kernel()


def test_the_reason_is_a_skip_or_where_asked_a_failure(programs, tmp_path, monkeypatch) -> None:
    (programs / "ssh").unlink()
    monkeypatch.delenv("EDGEPRUNE_REQUIRE_AARCH64", raising=False)
    with (
        pytest.raises(pytest.skip.Exception, match="no aarch64 machine: ssh is not installed"),
        aarch64_or_skip(tmp_path / "machine"),
    ):
        pass
    monkeypatch.setenv("EDGEPRUNE_REQUIRE_AARCH64", "1")
    with (
        pytest.raises(pytest.fail.Exception, match="ssh is not installed"),
        aarch64_or_skip(tmp_path / "machine"),
    ):
        pass
