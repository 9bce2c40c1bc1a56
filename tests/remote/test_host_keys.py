"""Unknown, changed and revoked host keys of a real sshd, and trusting them."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeprune.errors import HostKeyError, RemoteError
from edgeprune.remote import connect
from edgeprune.remote.trust import trust
from tests.remote.openssh import ssh_keygen
from tests.remote.sshd import Sshd, generate_key, start_sshd

REPOSITORY = Path(__file__).resolve().parents[2]


def _fingerprint(sshd: Sshd) -> str:
    return ssh_keygen("-lf", str(sshd.folder / "host_key.pub")).split()[1]


def _logged_in(sshd: Sshd, **table: object) -> bool:
    with connect(sshd.table(**table), target="pi") as remote:
        return remote.run(["true"], timeout_s=5).returncode == 0


def _trust(
    sshd: Sshd, ask: Callable[[str], bool] | None = None, **options: object
) -> tuple[list[str], list[str]]:
    """Trust the server's key; returns what was said, and what was asked."""
    said: list[str] = []
    asked: list[str] = []

    def asking(question: str) -> bool:
        asked.append(question)
        return ask(question) if ask else False

    trust(
        sshd.table(),
        target="pi",
        say=said.append,
        ask=asking if ask else None,
        **options,  # type: ignore[arg-type]
    )
    return said, asked


def test_an_unknown_key_is_refused_with_fingerprint_and_command(sshd: Sshd) -> None:
    sshd.known_hosts.unlink()
    with pytest.raises(HostKeyError) as caught:
        _logged_in(sshd)
    assert caught.value.fingerprint == _fingerprint(sshd)
    assert caught.value.fingerprint in caught.value.message
    command = "invoke trust --target pi --set target.ssh.host=127.0.0.1 --fingerprint"
    assert f"{command} {_fingerprint(sshd)}" in str(caught.value)
    assert "ssh_host_ed25519_key.pub" in str(caught.value)
    assert not sshd.known_hosts.exists()
    assert "Accepted" not in sshd.log


def test_a_changed_key_is_refused_with_the_line_that_pins_the_old_one(sshd: Sshd) -> None:
    old = sshd.known_hosts.read_bytes()
    sshd.replace_host_key()
    with pytest.raises(HostKeyError, match="not the pinned one") as caught:
        _logged_in(sshd)
    assert f"{sshd.known_hosts}:1" in caught.value.message
    assert "--replace" in str(caught.value)
    assert sshd.known_hosts.read_bytes() == old


def test_a_key_of_another_kind_is_a_changed_key(sshd: Sshd) -> None:
    sshd.replace_host_key("ecdsa")
    with pytest.raises(HostKeyError, match="not the pinned one"):
        _logged_in(sshd)


def test_the_pinned_kind_is_asked_for(tmp_path: Path) -> None:
    """A server that has several keys shows the one that is known."""
    server = start_sshd(tmp_path / "many", more=f"HostKey {tmp_path}/rsa")
    try:
        server.stop()
        generate_key(tmp_path / "rsa", kind="rsa")
        server.restart()
        public = (tmp_path / "rsa.pub").read_text("utf-8")
        server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {public}", "utf-8")
        assert _logged_in(server)
    finally:
        server.stop()


def test_a_revoked_key_is_refused_although_it_is_pinned(sshd: Sshd) -> None:
    with sshd.known_hosts.open("a") as file:
        file.write(f"@revoked * {sshd.host_key}\n")
    with pytest.raises(HostKeyError, match="was revoked") as caught:
        _logged_in(sshd)
    assert f"{sshd.known_hosts}:2" in caught.value.message
    with pytest.raises(HostKeyError, match="was revoked"):
        _trust(sshd, lambda question: True, replacing=True)


def test_a_revoked_key_of_another_host_is_no_obstacle(sshd: Sshd) -> None:
    with sshd.known_hosts.open("a") as file:
        file.write(f"@revoked elsewhere {sshd.host_key}\n")
    assert _logged_in(sshd)


def test_a_hashed_name_logs_in(sshd: Sshd) -> None:
    ssh_keygen("-q", "-H", "-f", str(sshd.known_hosts))
    assert "127.0.0.1" not in sshd.known_hosts.read_text("utf-8")
    assert _logged_in(sshd)


def test_the_key_of_another_port_is_not_this_one(sshd: Sshd) -> None:
    sshd.known_hosts.write_text(f"127.0.0.1 {sshd.host_key}\n", "utf-8")
    with pytest.raises(HostKeyError, match="not known"):
        _logged_in(sshd)


def test_a_confirmed_key_is_pinned_and_logs_in(sshd: Sshd) -> None:
    sshd.known_hosts.unlink()
    said, asked = _trust(sshd, lambda question: True)
    assert _fingerprint(sshd) in said[0]
    assert asked == [f"Trust this key of pi@127.0.0.1:{sshd.port}?"]
    assert stat.S_IMODE(sshd.known_hosts.stat().st_mode) == 0o600
    assert _logged_in(sshd)
    assert "is trusted already" in _trust(sshd)[0][0]
    assert len(sshd.known_hosts.read_text("utf-8").splitlines()) == 1


def test_a_key_that_nobody_confirms_is_not_pinned(sshd: Sshd) -> None:
    sshd.known_hosts.unlink()
    with pytest.raises(HostKeyError, match="was not trusted"):
        _trust(sshd, lambda question: False)
    with pytest.raises(HostKeyError, match="nobody is at a terminal") as caught:
        _trust(sshd)
    assert f"--fingerprint {_fingerprint(sshd)}" in str(caught.value)
    with pytest.raises(HostKeyError, match="shows another key"):
        _trust(sshd, lambda question: True, fingerprint="SHA256:" + 43 * "A")
    assert not sshd.known_hosts.exists()


@pytest.mark.parametrize("form", ["{}", " {}= ", "{bare}"])
def test_a_fingerprint_takes_the_place_of_an_answer(sshd: Sshd, form: str) -> None:
    sshd.known_hosts.unlink()
    fingerprint = _fingerprint(sshd)
    _trust(sshd, fingerprint=form.format(fingerprint, bare=fingerprint.removeprefix("SHA256:")))
    assert _logged_in(sshd)


def test_a_changed_key_is_pinned_only_in_the_place_of_the_old_one(sshd: Sshd) -> None:
    sshd.replace_host_key()
    with pytest.raises(HostKeyError, match=r"known_hosts:1"):
        _trust(sshd, lambda question: True)
    _, asked = _trust(sshd, lambda question: True, replacing=True)
    assert f"instead of {sshd.known_hosts}:1" in asked[0]
    assert len(sshd.known_hosts.read_text("utf-8").splitlines()) == 1
    assert _logged_in(sshd)


def test_nobody_logs_in_to_be_trusted(sshd: Sshd) -> None:
    sshd.known_hosts.unlink()
    _trust(sshd, lambda question: True)
    assert "Accepted" not in sshd.log


def test_pins_that_can_not_be_written_are_an_error(sshd: Sshd, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    table = sshd.table(known_hosts=str(tmp_path / "file" / "known_hosts"))
    with pytest.raises(RemoteError, match=r"can't be (read|written)"):
        trust(table, target="pi", say=lambda line: None, ask=lambda question: True)


def test_the_task_trusts_as_its_users_do(sshd: Sshd, tmp_path: Path) -> None:
    sshd.known_hosts.unlink()
    (tmp_path / "kitchen.toml").write_text(
        f"""\
name = "kitchen"
core = "aarch64"
device = "ssh"

[ssh]
port = {sshd.port}
user = "pi"
known_hosts = "{sshd.known_hosts}"
config = "none"
"""
    )

    def invoke(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "invoke", "--search-root", str(REPOSITORY), "trust"]
        return subprocess.run(
            [*command, f"--target={tmp_path / 'kitchen.toml'}", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            timeout=60,
        )

    host = "--set=target.ssh.host=127.0.0.1"
    without_host = invoke()
    assert without_host.returncode == 2
    assert "ssh.host: is missing" in without_host.stderr
    unasked = invoke(host)
    assert unasked.returncode == 2
    assert "nobody is at a terminal" in unasked.stderr
    trusted = invoke(host, f"--fingerprint={_fingerprint(sshd)}")
    assert trusted.returncode == 0, trusted.stderr
    assert _fingerprint(sshd) in trusted.stdout
    assert _logged_in(sshd)
