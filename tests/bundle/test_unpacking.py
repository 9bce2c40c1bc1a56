"""Wheels into a folder, honest and hostile ones."""

from __future__ import annotations

import stat
import warnings
import zipfile
from pathlib import Path

import pytest

from edgeprune.bundle import unpacking
from edgeprune.bundle.unpacking import unpack
from edgeprune.errors import BundleError
from tests.bundle.wheel_files import row, write_wheel

METADATA = "thing-1.2.dist-info/METADATA"


def _files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_wheel_is_unpacked_as_it_is_imported(tmp_path: Path) -> None:
    wheel = write_wheel(
        tmp_path,
        {
            "thing/__init__.py": b"VALUE = 3\n",
            "thing/fast.so": b"\x7fELF",
            "thing-1.2.data/purelib/thing/pure.py": b"",
            "thing-1.2.data/platlib/other.py": b"",
            "thing-1.2.data/scripts/thing": b"#!python\n",
            "thing-1.2.data/data/etc/thing.conf": b"",
        },
    )
    written = unpack(wheel, tmp_path / "site")
    expected = {"thing/__init__.py", "thing/fast.so", "thing/pure.py", "other.py", METADATA}
    expected.add("thing-1.2.dist-info/RECORD")
    assert _files_of(tmp_path / "site") == {str(path) for path in written} == expected
    assert (tmp_path / "site/thing/__init__.py").read_bytes() == b"VALUE = 3\n"
    assert stat.S_IMODE((tmp_path / "site/thing/__init__.py").stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "site/thing/fast.so").stat().st_mode) == 0o755


def test_what_no_inference_reads_is_left_out(tmp_path: Path) -> None:
    files = {
        "thing/core/tests/test_core.py": b"",
        "thing/libLiteRtWebGpuAccelerator.so": b"",
        "thing/tests.py": b"",
        "thing/testing/__init__.py": b"",
    }
    unpack(write_wheel(tmp_path, files), tmp_path / "site")
    kept = {name for name in _files_of(tmp_path / "site") if name.startswith("thing/")}
    assert kept == {"thing/tests.py", "thing/testing/__init__.py"}


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../outside.py", "thing/../../outside.py", "..\\outside.py", "C:/x.py", "a\nb"],
)
def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    wheel = write_wheel(tmp_path / "deep" / "wheels", {"first.py": b"", name: b"x"})
    with pytest.raises(BundleError, match="unsafe name"):
        unpack(wheel, tmp_path / "deep" / "site")
    assert not (tmp_path / "outside.py").exists()
    assert not (tmp_path / "deep" / "outside.py").exists()


def test_a_link_is_refused(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path, {})
    with zipfile.ZipFile(wheel, "a") as archive:
        link = zipfile.ZipInfo("thing/link.py")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(BundleError, match="not a plain file"):
        unpack(wheel, tmp_path / "site")
    assert not (tmp_path / "site/thing/link.py").is_symlink()


def test_a_file_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path, {"thing.py": b"good"})
    with zipfile.ZipFile(wheel, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("thing.py", b"evil")
    with pytest.raises(BundleError, match=r"'thing\.py' twice"):
        unpack(wheel, tmp_path / "site")


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (row("thing.py", b"other"), r"'thing\.py' is not what its RECORD says"),
        ("", r"RECORD has no SHA-256 of 'thing\.py'"),
        ("thing.py,md5=abc,4\n", r"RECORD has no SHA-256 of 'thing\.py'"),
        ("thing.py,,4\n", r"RECORD has no SHA-256 of 'thing\.py'"),
    ],
)
def test_a_file_that_record_does_not_vouch_for_is_refused(
    tmp_path: Path, record: str, says: str
) -> None:
    wheel = write_wheel(tmp_path, {"thing.py": b"evil"}, record=record)
    with pytest.raises(BundleError, match=says):
        unpack(wheel, tmp_path / "site")
    assert not (tmp_path / "site/thing.py").exists()


def test_a_zip_that_is_no_wheel_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "thing-1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("thing.py", b"")
    with pytest.raises(BundleError, match="no RECORD"):
        unpack(path, tmp_path / "site")


def test_every_cut_of_a_wheel_is_refused(tmp_path: Path) -> None:
    whole = write_wheel(tmp_path, {"thing.py": bytes(range(256)) * 8}).read_bytes()
    cut = tmp_path / "cut-1-py3-none-any.whl"
    for length in (0, 1, 30, len(whole) // 2, len(whole) - 1):
        cut.write_bytes(whole[:length])
        with pytest.raises(BundleError, match="is damaged"):
            unpack(cut, tmp_path / "site")


def test_damaged_content_is_refused(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path, {"thing.py": bytes(range(256)) * 8})
    content = bytearray(wheel.read_bytes())
    content[60] ^= 0xFF
    wheel.write_bytes(content)
    with pytest.raises(BundleError):
        unpack(wheel, tmp_path / "site")
    assert not (tmp_path / "site/thing.py").exists()


def test_a_wheel_that_grows_without_bounds_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "_LARGEST", 1 << 20)
    wheel = write_wheel(tmp_path, {"thing.py": bytes(2 << 20)})
    assert wheel.stat().st_size < 1 << 14
    with pytest.raises(BundleError, match="more than 1 MiB"):
        unpack(wheel, tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_wheels_share_equal_files_and_no_others(tmp_path: Path) -> None:
    first = write_wheel(tmp_path, {"shared.py": b"same"}, name="first")
    second = write_wheel(tmp_path, {"shared.py": b"same"}, name="second")
    third = write_wheel(tmp_path, {"shared.py": b"another"}, name="third")
    unpack(first, tmp_path / "site")
    unpack(second, tmp_path / "site")
    with pytest.raises(BundleError, match="overwrites another wheel's"):
        unpack(third, tmp_path / "site")
    assert (tmp_path / "site/shared.py").read_bytes() == b"same"
