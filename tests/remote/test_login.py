"""Logging in to a real sshd: keys, agent, passphrase, password, jump hosts."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeprune.errors import (
    AuthenticationError,
    HostKeyError,
    MissingExtraError,
    RemoteError,
    RemoteTimeout,
)
from edgeprune.remote import connect
from edgeprune.remote.secrets import PASSPHRASE_VARIABLE, PASSWORD_VARIABLE, Secrets
from tests.remote.openssh import ssh_keygen
from tests.remote.sshd import PASSWORD, Sshd, generate_key, start_sshd

PASSPHRASE = "sesam öffne dich"  # noqa: S105 - of keys that are nowhere


def _user(sshd: Sshd, secrets: Secrets | None = None, **table: object) -> str:
    with connect(sshd.table(**table), target="pi", secrets=secrets) as remote:
        assert remote.name == f"{remote.name.split('@')[0]}@127.0.0.1:{sshd.port}"
        return remote.run(["id", "-un"], timeout_s=10).text.strip()


def _allow(sshd: Sshd, public: Path) -> None:
    (sshd.folder / "authorized_keys").write_bytes(public.read_bytes())


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "agent"
    process = subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(path)],  # noqa: S607
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 5
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    yield path
    process.kill()
    process.wait()


def _add_to_agent(*keys: Path) -> None:
    subprocess.run(["ssh-add", "-q", *map(str, keys)], check=True, timeout=10)  # noqa: S607


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_key_of_each_kind_logs_in(sshd: Sshd, tmp_path: Path, kind: str) -> None:
    key = generate_key(tmp_path / "key", kind=kind)
    _allow(sshd, tmp_path / "key.pub")
    assert _user(sshd, identity_file=str(key)) == "pi"


def test_a_key_at_the_usual_place_needs_no_name(sshd: Sshd, nothing_of_the_users: Path) -> None:
    usual = nothing_of_the_users / ".ssh" / "id_ed25519"
    usual.write_bytes(sshd.identity.read_bytes())
    assert _user(sshd, identity_file=None) == "pi"


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_a_passphrase_comes_from_the_environment(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    key = generate_key(tmp_path / "key", kind=kind, passphrase=PASSPHRASE)
    _allow(sshd, tmp_path / "key.pub")
    monkeypatch.setenv(PASSPHRASE_VARIABLE, PASSPHRASE)
    assert _user(sshd, identity_file=str(key)) == "pi"


def test_a_passphrase_is_asked_for_once(sshd: Sshd, tmp_path: Path) -> None:
    key = generate_key(tmp_path / "key", passphrase=PASSPHRASE)
    _allow(sshd, tmp_path / "key.pub")
    asked = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return PASSPHRASE

    secrets = Secrets(ask)
    for _ in range(2):
        assert _user(sshd, secrets, identity_file=str(key)) == "pi"
    assert asked == [f"Passphrase of {key}: "]
    assert PASSPHRASE not in repr(secrets)


def test_an_unknown_or_wrong_passphrase_is_told_and_not_shown(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = generate_key(tmp_path / "key", passphrase=PASSPHRASE)
    with pytest.raises(AuthenticationError, match=PASSPHRASE_VARIABLE):
        _user(sshd, identity_file=str(key))
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "another secret")
    with pytest.raises(AuthenticationError, match="whose passphrase is another") as caught:
        _user(sshd, identity_file=str(key))
    assert "another secret" not in str(caught.value)


def test_a_password_logs_in_where_no_key_does(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    assert _user(sshd, identity_file=None) == "pi"
    monkeypatch.setenv(PASSWORD_VARIABLE, "wrong-secret")
    with pytest.raises(AuthenticationError, match="a password") as caught:
        _user(sshd, identity_file=None)
    assert "wrong-secret" not in str(caught.value)
    assert "wrong-secret" not in sshd.log


def test_a_refused_key_is_named_with_what_the_host_offers(sshd: Sshd, tmp_path: Path) -> None:
    key = generate_key(tmp_path / "stranger")
    with pytest.raises(AuthenticationError) as caught:
        _user(sshd, identity_file=str(key))
    assert f"key {key}" in caught.value.message
    assert "password, publickey" in caught.value.message
    assert caught.value.where == f"pi@127.0.0.1:{sshd.port}"


def test_an_absent_or_foreign_file_is_named(sshd: Sshd, tmp_path: Path) -> None:
    with pytest.raises(AuthenticationError, match=r"absent_key, which is absent"):
        _user(sshd, identity_file=str(tmp_path / "absent_key"))
    with pytest.raises(AuthenticationError, match=r"which is not a private key"):
        _user(sshd, identity_file=str(sshd.known_hosts))


@pytest.mark.usefixtures("agent")
def test_the_agents_key_logs_in(sshd: Sshd, tmp_path: Path) -> None:
    key = generate_key(tmp_path / "key")
    _allow(sshd, tmp_path / "key.pub")
    _add_to_agent(key)
    key.unlink()
    assert _user(sshd, identity_file=None) == "pi"


@pytest.mark.usefixtures("agent")
def test_a_named_key_of_the_agent_is_tried_first_and_asks_nothing(
    sshd: Sshd, tmp_path: Path
) -> None:
    many = [generate_key(tmp_path / f"stranger{number}") for number in range(8)]
    key = generate_key(tmp_path / "key")
    _allow(sshd, tmp_path / "key.pub")
    _add_to_agent(*many, key)
    ssh_keygen("-q", "-p", "-N", PASSPHRASE, "-f", str(key))
    assert _user(sshd, identity_file=str(key)) == "pi"
    assert _user(sshd, identity_file=str(key) + ".pub") == "pi"


@pytest.mark.usefixtures("agent")
def test_a_host_that_had_enough_of_keys_is_told(sshd: Sshd, tmp_path: Path) -> None:
    _add_to_agent(*[generate_key(tmp_path / f"stranger{number}") for number in range(8)])
    with pytest.raises(AuthenticationError, match=r"closed the connection after.*stranger"):
        _user(sshd, identity_file=None)


def test_an_agent_that_is_gone_is_no_obstacle(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead"))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "dead"))
    assert _user(sshd) == "pi"


def test_a_host_is_reached_through_another(sshd: Sshd, tmp_path: Path) -> None:
    behind = start_sshd(tmp_path / "behind")
    try:
        pins = tmp_path / "pins"
        pins.write_text(sshd.known_hosts.read_text("utf-8") + behind.known_hosts.read_text("utf-8"))
        config = tmp_path / "config"
        config.write_text(
            f"Host gate\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User pi\n"
            f"  IdentityFile {sshd.identity}\n"
        )
        table = {"known_hosts": str(pins), "config": str(config), "jump": "gate"}
        assert _user(behind, **table) == "pi"
        assert f"from 127.0.0.1 port {_last_client_port(behind)}" in behind.log
        pins.write_text(behind.known_hosts.read_text("utf-8"))
        with pytest.raises(HostKeyError) as caught:
            _user(behind, **table)
        assert caught.value.where == f"pi@gate:{sshd.port}"
        pins.write_text(sshd.known_hosts.read_text("utf-8"))
        with pytest.raises(HostKeyError) as caught:
            _user(behind, **table)
        assert caught.value.where == f"pi@127.0.0.1:{behind.port}"
        behind.stop()
        with pytest.raises(RemoteError, match=r"refuses|refused"):
            _user(behind, **table)
    finally:
        behind.stop()


def _last_client_port(sshd: Sshd) -> str:
    return sshd.log.rsplit("from 127.0.0.1 port ", 1)[1].split()[0]


def test_a_jump_host_never_gets_the_targets_password(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    asked = []

    def ask(prompt: str) -> None:
        asked.append(prompt)

    table = {"identity_file": None, "jump": f"pi@127.0.0.1:{sshd.port}"}
    with pytest.raises(AuthenticationError) as caught:
        _user(sshd, Secrets(ask), **table)
    assert asked == [f"Password of pi@127.0.0.1:{sshd.port}: "]
    assert PASSWORD not in str(caught.value)
    assert "Failed password" not in sshd.log


def test_nobody_listens(sshd: Sshd) -> None:
    sshd.stop()
    with pytest.raises(RemoteError, match="refused") as caught:
        _user(sshd)
    assert caught.value.where == f"pi@127.0.0.1:{sshd.port}"
    with pytest.raises(RemoteError, match=r"can't be reached at nowhere\.invalid"):
        _user(sshd, host="nowhere.invalid")


def test_a_frozen_server_hits_the_limit_of_connecting(sshd: Sshd) -> None:
    started = time.monotonic()
    with sshd.frozen(), pytest.raises(RemoteTimeout, match="did not answer in time"):
        _user(sshd, connect_timeout_s=0.5)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    "banner", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 5000, b"SSH-2.0-x\r\n" + b"\0" * 99]
)
def test_a_server_that_speaks_no_ssh_is_told(sshd: Sshd, banner: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(banner)
                connection.settimeout(5)
                connection.recv(100)

        thread = threading.Thread(target=answer)
        thread.start()
        table = {"port": server.getsockname()[1], "connect_timeout_s": 3.0}
        with pytest.raises(RemoteError):
            _user(sshd, **table)
        thread.join()


def test_every_socket_is_closed_when_a_login_fails(sshd: Sshd, tmp_path: Path) -> None:
    key = generate_key(tmp_path / "stranger")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(3):
        with pytest.raises(AuthenticationError):
            _user(sshd, identity_file=str(key))
        with pytest.raises(HostKeyError):
            _user(sshd, known_hosts="/dev/null")
    assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208


def test_without_paramiko_the_extra_is_named(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "paramiko", None)
    with pytest.raises(MissingExtraError, match=r"edgeprune\[ssh\]"):
        connect(sshd.table(), target="pi")
