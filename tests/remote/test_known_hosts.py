"""known_hosts files as OpenSSH reads them; ssh-keygen is the yardstick."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest

from edgeprune.errors import RemoteError
from edgeprune.remote.known_hosts import HostKey, add, host_name, known_kinds, look_up, replace
from tests.remote.openssh import ssh_keygen
from tests.remote.sshd import generate_key

KEY = HostKey("ssh-ed25519", b"one key")
OTHER = HostKey("ssh-ed25519", b"another key")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "known_hosts"


def _written(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _line(names: str, key: HostKey = KEY, marker: str = "") -> str:
    return f"{marker} {key.line(names)}".strip()


@pytest.mark.parametrize(
    ("names", "name"),
    [
        ("kitchen", "kitchen"),
        ("Kitchen,192.168.1.5", "192.168.1.5"),
        ("[kitchen]:2222", "[kitchen]:2222"),
        ("*.local", "pi.local"),
        ("[*.local]:2222", "[pi.local]:2222"),
        ("pi?", "pi4"),
        ("kitchen", "KITCHEN"),
        ("!pi5,pi*", "pi4"),
    ],
)
def test_a_name_is_known(path: Path, names: str, name: str) -> None:
    _written(path, "# a comment", "", _line(names))
    found = look_up([path], name, KEY)
    assert found.state == "known"
    assert found.entries[0].where == f"{path}:3"
    assert look_up([path], name, OTHER).state == "changed"


@pytest.mark.parametrize(
    ("names", "name"),
    [
        ("kitchen", "[kitchen]:2222"),
        ("[kitchen]:2222", "kitchen"),
        ("[kitchen]:2222", "[kitchen]:2223"),
        ("kitchen", "kitchen2"),
        ("!pi4,pi*", "pi4"),
        ("*", ""),
        ("|1|AAAA|notbase64!", "kitchen"),
        ("|1|broken", "kitchen"),
        ("|2|AAAA|AAAA", "kitchen"),
    ],
)
def test_a_name_is_not_known(path: Path, names: str, name: str) -> None:
    assert look_up([_written(path, _line(names))], name or "[]", KEY).state in (
        ("unknown",) if name else ("known",)
    )


def test_a_hashed_name_is_known(path: Path) -> None:
    for name in ("kitchen", "[kitchen]:2222"):
        _written(path, _line(name))
        ssh_keygen("-q", "-H", "-f", str(path))
        path.with_name("known_hosts.old").unlink()
        assert "kitchen" not in path.read_text("utf-8")
        assert look_up([path], name, KEY).state == "known"
        assert look_up([path], name, OTHER).state == "changed"
        assert look_up([path], "cellar", KEY).state == "unknown"


def test_a_revoked_key_is_revoked_wherever_it_is_pinned(path: Path) -> None:
    _written(path, _line("kitchen"), _line("*", marker="@revoked"))
    assert look_up([path], "kitchen", KEY).state == "revoked"
    assert look_up([path], "kitchen", KEY).entries[0].number == 2
    assert look_up([path], "kitchen", OTHER).state == "changed"


def test_an_authority_pins_nothing(path: Path) -> None:
    _written(path, _line("*", marker="@cert-authority"))
    assert look_up([path], "kitchen", KEY).state == "unknown"


def test_damaged_lines_are_skipped(path: Path) -> None:
    _written(
        path, "kitchen", "kitchen ssh-ed25519", "kitchen ssh-ed25519 %%%", "@revoked", ",, a b"
    )
    with path.open("ab") as file:
        file.write(b"\xff\xfe \x80\n" + _line("kitchen").encode())
    assert look_up([path], "kitchen", KEY).state == "known"


def test_an_absent_file_knows_nothing_and_an_unreadable_one_is_an_error(path: Path) -> None:
    assert look_up([path], "kitchen", KEY).state == "unknown"
    path.mkdir(parents=True)
    with pytest.raises(RemoteError, match="can't be read"):
        look_up([path], "kitchen", KEY)


def test_the_kinds_of_pinned_keys_come_in_order(path: Path) -> None:
    rsa = HostKey("ssh-rsa", b"rsa")
    _written(path, _line("kitchen", rsa), _line("kitchen"), _line("cellar", OTHER))
    assert known_kinds([path], "kitchen") == ("ssh-rsa", "ssh-ed25519")


def test_the_fingerprint_is_that_of_ssh_keygen(tmp_path: Path) -> None:
    public = generate_key(tmp_path / "key").with_suffix(".pub")
    kind, encoded, _ = public.read_text("utf-8").split()
    printed = ssh_keygen("-lf", str(public))
    assert HostKey(kind, base64.b64decode(encoded)).fingerprint in printed.split()


def test_a_key_is_added_and_ssh_keygen_finds_it(path: Path, tmp_path: Path) -> None:
    public = generate_key(tmp_path / "key").with_suffix(".pub")
    kind, encoded, _ = public.read_text("utf-8").split()
    add(path, host_name("Kitchen", 2222), HostKey(kind, base64.b64decode(encoded)))
    assert encoded in ssh_keygen("-F", "[kitchen]:2222", "-f", str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["known_hosts"]


def test_what_was_there_stays(path: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles"
    real.write_bytes(b"# mine \xff\ncellar ssh-ed25519 AAAA")
    real.chmod(0o640)
    path.parent.mkdir()
    path.symlink_to(real)
    add(path, "kitchen", KEY)
    assert path.is_symlink()
    assert real.read_bytes() == (
        b"# mine \xff\ncellar ssh-ed25519 AAAA\n" + _line("kitchen").encode() + b"\n"
    )
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_replacing_takes_the_name_out_of_its_lines_only(path: Path) -> None:
    _written(path, _line("kitchen,192.168.1.5"), _line("cellar"), _line("kitchen"))
    old = look_up([path], "kitchen", OTHER).entries
    replace(path, "kitchen", OTHER, old)
    assert path.read_text("utf-8").splitlines() == [
        _line("192.168.1.5"),
        _line("cellar"),
        _line("kitchen", OTHER),
    ]


def test_a_pattern_is_not_edited(path: Path) -> None:
    text = _written(path, _line("*.local")).read_text("utf-8")
    old = look_up([path], "pi.local", OTHER).entries
    with pytest.raises(RemoteError, match="by a pattern") as caught:
        replace(path, "pi.local", OTHER, old)
    assert caught.value.where == f"{path}:1"
    assert path.read_text("utf-8") == text
