"""Hosts of a fleet: declared in a list or an inventory, chosen by name, refused by key."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeprune.declaration import overrides
from edgeprune.errors import DeclarationError
from edgeprune.fleet import chosen, members, only_member
from edgeprune.fleet.secrets import FleetSecrets
from edgeprune.remote.secrets import PASSPHRASE_VARIABLE, PASSWORD_VARIABLE
from edgeprune.target import Target

INVENTORIES = sorted((Path(__file__).parents[1] / "data/invalid_inventories").glob("*.toml"))
SSH = 'core = "aarch64"\ndevice = "ssh"\n[ssh]\nuser = "pi"\nport = 2200\nroot = "spot"\n'


def write(folder: Path, fleet: str, inventory: str = "") -> Path:
    (folder / "fleet").mkdir(exist_ok=True)
    if inventory:
        (folder / "fleet/hosts.toml").write_text(inventory, encoding="utf-8")
    path = folder / "fleet/kitchens.toml"
    path.write_text(f'name = "kitchens"\n{SSH}[fleet]\n{fleet}\n', encoding="utf-8")
    return path


def test_hosts_in_a_list_are_read_as_ssh_users_write_them(tmp_path: Path) -> None:
    hosts = '["kitchen.local", "root@hall:22", "[fe80::1%eth0]:2222", "[::1]"]'
    target = Target.read(write(tmp_path, f"hosts = {hosts}"))
    found = [(each.ssh.host, each.ssh.port, each.ssh.user) for each in members(target)]
    assert found == [
        ("kitchen.local", 2200, "pi"),
        ("hall", 22, "root"),
        ("fe80::1%eth0", 2222, "pi"),
        ("::1", 2200, "pi"),
    ]
    assert {each.ssh.root for each in members(target)} == {"spot"}


def test_an_inventory_lies_beside_its_target_and_over_its_ssh_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = '[[host]]\nname = "kitchen"\n[[host]]\nname = "hall"\nhost = "10.0.0.7"\n'
    path = write(tmp_path, 'inventory = "hosts.toml"', entries + 'user = "lu"\njump = "gate"\n')
    monkeypatch.chdir(tmp_path)
    kitchen, hall = members(Target.read(path))
    assert (kitchen.name, kitchen.ssh.host, kitchen.ssh.user) == ("kitchen", "kitchen", "pi")
    assert (hall.name, hall.ssh.host, hall.ssh.user) == ("hall", "10.0.0.7", "lu")
    assert (hall.ssh.jump, kitchen.ssh.jump, hall.ssh.port) == ("gate", None, 2200)
    assert hall.ssh.selection == " --host hall"

    (tmp_path / "mine.toml").write_text('[[host]]\nname = "attic"\n', encoding="utf-8")
    settings = overrides(["fleet.inventory=mine.toml"])
    assert [each.name for each in members(Target.read(path, settings))] == ["attic"]


@pytest.mark.parametrize("inventory", INVENTORIES, ids=lambda path: path.stem)
def test_an_invalid_inventory_is_refused_with_file_key_and_what_is_allowed(
    tmp_path: Path, inventory: Path
) -> None:
    key, says = inventory.read_text(encoding="utf-8").splitlines()[:2]
    key = key.removeprefix("# key:").strip()
    path = write(tmp_path, f'inventory = "{inventory}"')
    with pytest.raises(DeclarationError) as caught:
        members(Target.read(path))
    assert caught.value.where == (f"{inventory}: {key}" if key else str(inventory))
    assert says.removeprefix("# says:").strip() in caught.value.message


def test_an_inventory_that_is_absent_is_named(tmp_path: Path) -> None:
    target = Target.read(write(tmp_path, 'inventory = "none.toml"'))
    with pytest.raises(DeclarationError, match=r"fleet/none\.toml: can't be read"):
        members(target)


def test_hosts_are_chosen_by_name_and_keep_their_order(tmp_path: Path) -> None:
    target = Target.read(write(tmp_path, 'hosts = ["kitchen", "hall", "attic"]'))
    fleet = members(target)
    assert chosen(fleet, None) == fleet
    assert [each.name for each in chosen(fleet, "attic, kitchen")] == ["kitchen", "attic"]
    with pytest.raises(DeclarationError, match=r"no host 'kitchn'(.|\n)*did you mean 'kitchen'"):
        chosen(fleet, "kitchn")
    assert only_member(target, "hall").name == "hall"
    for names in (None, "hall,attic"):
        with pytest.raises(DeclarationError, match=r"--host NAME, one of kitchen, hall, attic"):
            only_member(target, names)


def test_a_target_of_one_host_is_no_fleet(tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    path.write_text(f'name = "one"\n{SSH}host = "kitchen"\n', encoding="utf-8")
    with pytest.raises(DeclarationError, match="target one: fleet: is missing"):
        members(Target.read(path))


def test_a_secret_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (PASSWORD_VARIABLE, PASSPHRASE_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return f"secret {len(asked)}"

    secrets = FleetSecrets(ask)
    kitchen = secrets.password("pi@kitchen:22", final=True)
    assert kitchen == secrets.password("pi@hall:22", final=True) == "secret 1"
    assert secrets.password("lu@hall:22", final=True) == "secret 2"
    assert secrets.password("pi@gate:22", final=False) == "secret 3"
    key = Path("key")
    assert secrets.passphrase(key) == secrets.passphrase(key) == "secret 4"
    assert len(asked) == 4
    assert kitchen not in repr(secrets)
