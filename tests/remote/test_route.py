"""The way to a host: the target's table over the SSH configuration."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from edgeprune.errors import DeclarationError, RemoteError
from edgeprune.remote.route import route
from edgeprune.ssh_target import Ssh


@pytest.fixture
def configured(nothing_of_the_users: Path) -> Path:
    folder = nothing_of_the_users / ".ssh"
    (folder / "config.d").mkdir()
    (folder / "config.d" / "home").write_text(
        "Host kitchen kitchen-*\n  HostName 192.168.1.5\n  Port 2222\n  User pi\n", "utf-8"
    )
    (folder / "config").write_text(
        """\
# a comment
Include config.d/*
Host cellar
    HostName %h.example.org
    IdentityFile ~/.ssh/cellar_key
    IdentitiesOnly yes
    UserKnownHostsFile ~/.ssh/mine %d/.ssh/ours
    ProxyJump admin@gate:2200,kitchen
Host gate
    HostKeyAlias the-gate
Host circle
    ProxyJump circle2
Host circle2
    ProxyJump circle
Host proxied
    ProxyCommand nc %h %p
Host badport
    Port seven
""",
        "utf-8",
    )
    return folder


def test_without_a_configuration_the_defaults_are_those_of_ssh(nothing_of_the_users: Path) -> None:
    (hop,) = route(Ssh(host="Kitchen"))
    folder = nothing_of_the_users / ".ssh"
    assert (hop.host, hop.port, hop.user) == ("Kitchen", 22, getpass.getuser())
    assert hop.key_name == "kitchen"
    assert hop.identities[0] == folder / "id_ed25519"
    assert not hop.named_identities
    assert hop.known_hosts == (
        folder / "known_hosts",
        folder / "known_hosts2",
        Path("/etc/ssh/ssh_known_hosts"),
    )


def test_a_host_of_the_configuration_is_found_in_an_included_file(configured: Path) -> None:
    (hop,) = route(Ssh(host="kitchen"))
    assert (hop.host, hop.port, hop.user) == ("192.168.1.5", 2222, "pi")
    assert hop.name == "pi@kitchen:2222"
    assert hop.key_name == "[192.168.1.5]:2222"


def test_the_table_wins_over_the_configuration(configured: Path) -> None:
    (hop,) = route(
        Ssh(host="kitchen", port=22, user="me", identity_file="~/key", known_hosts="~/pins")
    )
    home = configured.parent
    assert (hop.port, hop.user, hop.identities) == (22, "me", (home / "key",))
    assert hop.known_hosts == (home / "pins",)


def test_jumps_come_first_each_by_its_own_section(configured: Path) -> None:
    gate, kitchen, cellar = route(Ssh(host="cellar", user="pi"))
    assert (gate.host, gate.port, gate.user, gate.key_name) == ("gate", 2200, "admin", "the-gate")
    assert (kitchen.host, kitchen.port, kitchen.user) == ("192.168.1.5", 2222, "pi")
    assert cellar.host == "cellar.example.org"
    assert cellar.identities == (configured / "cellar_key",)
    assert cellar.identities_only
    assert cellar.known_hosts[:2] == (configured / "mine", configured / "ours")


def test_the_tables_jump_wins_and_none_means_none(configured: Path) -> None:
    assert [hop.alias for hop in route(Ssh(host="cellar", jump="other"))] == ["other", "cellar"]
    assert [hop.alias for hop in route(Ssh(host="cellar", jump="none"))] == ["cellar"]
    assert [hop.alias for hop in route(Ssh(host="cellar", config="none"))] == ["cellar"]
    assert [hop.alias for hop in route(Ssh(host="proxied", jump="none"))] == ["proxied"]


def test_an_address_of_ipv6_jumps_too() -> None:
    hop, _ = route(Ssh(host="cellar", jump="pi@[fe80::1]:2222", config="none"))
    assert (hop.host, hop.port, hop.user) == ("fe80::1", 2222, "pi")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"host": "circle"}, "circle"),
        ({"host": "proxied"}, "ProxyCommand"),
        ({"host": "badport"}, "'seven' is not a port"),
        ({"host": "x", "jump": "a@b@c"}, "'a@b@c' is not a jump host"),
        ({"host": "x", "jump": "a:99999"}, "'99999' is not a port"),
        ({"host": "x", "config": "~/absent"}, "can't be read"),
    ],
)
def test_what_can_not_be_followed_is_an_error(
    configured: Path, table: dict[str, str], says: str
) -> None:
    with pytest.raises(RemoteError, match=says):
        route(Ssh.model_validate(table))


def test_a_configuration_that_includes_itself_is_an_error(configured: Path) -> None:
    (configured / "config").write_text("Include config\n", "utf-8")
    with pytest.raises(RemoteError, match="includes itself"):
        route(Ssh(host="kitchen"))


def test_a_line_that_ssh_would_refuse_is_an_error(configured: Path) -> None:
    (configured / "config").write_text("Host\n", "utf-8")
    with pytest.raises(RemoteError, match="not an SSH configuration"):
        route(Ssh(host="kitchen"))


def test_a_target_without_a_host_says_how_to_give_it() -> None:
    with pytest.raises(DeclarationError, match=r"--set target\.ssh\.host="):
        route(Ssh())
