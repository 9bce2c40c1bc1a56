"""A real systemd of the user ``pi``, in the namespaces of a private sshd.

Process 1 there is no systemd: the user's manager is started by hand, in a branch of the cgroup2
tree, and so is a journal. ``loginctl`` alone is a stand-in: it asks a manager of the system.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from functools import cache
from pathlib import Path

import pytest

from tests.remote.sshd import HOME, USER_ID, Sshd

_FILES = (
    "/lib/systemd/systemd",
    "/lib/systemd/systemd-journald",
    "/etc/systemd/journald.conf",
    "/etc/machine-id",
)
_PROGRAMS = ("systemctl", "journalctl", "loginctl", "nsenter", "setpriv")
_JOURNAL_SETTINGS = """\
[Journal]
Storage=persistent
Audit=no
ReadKMsg=no
ForwardToSyslog=no
"""
_LOGINCTL = '#!/bin/sh\n[ "$1" = show-user ] && echo Linger=yes\n'

# Everything that is mounted here is gone with the sshd's namespace, but the branch of cgroups.
_BUILD = """\
set -e
mkdir -p /run/systemd/system /run/systemd/journal
touch /run/systemd/journal/flushed
mount -t cgroup2 none /sys/fs/cgroup
mkdir "$2"
mount -t tmpfs tmpfs /var/log
mkdir /var/log/journal
for file in machine-id systemd/journald.conf; do
    mount --bind "$1/${file##*/}" "/etc/$file"
done
mount --bind "$1/loginctl" "$(command -v loginctl)"
mount --bind "$1/boot_id" /proc/sys/kernel/random/boot_id
echo $$ > "$2/cgroup.procs"
exec unshare --cgroup /lib/systemd/systemd-journald
"""
_BOOT = """\
set -e
while [ ! -S /run/systemd/journal/stdout ]; do sleep 0.01; done
mkdir -p "/run/user/$3"
mount -t tmpfs -o "mode=700,uid=$3,gid=$3" tmpfs "/run/user/$3"
user="$2/user.slice/user-$3.slice/user@$3.service"
mkdir -p "$user"
chown -R "$3:$3" "$user"
echo $$ > "$user/cgroup.procs"
exec env -i HOME="$4" USER=pi LOGNAME=pi PATH=/usr/bin:/bin XDG_RUNTIME_DIR="/run/user/$3" \\
    setpriv --reuid "$3" --regid "$3" --clear-groups /lib/systemd/systemd --user
"""
_POWER_OFF = """\
echo 1 > "$2/user.slice/cgroup.kill"
until find "$2/user.slice" -depth -type d -exec rmdir {} + 2> /dev/null; do sleep 0.01; done
umount "/run/user/$3"
"""
_REMOVE = """\
echo 1 > "$2/cgroup.kill"
until find "$2" -depth -type d -exec rmdir {} + 2> /dev/null; do sleep 0.01; done
"""
_PROBE = """\
set -e
mount -t cgroup2 none /sys/fs/cgroup
branch=$(mktemp -d /sys/fs/cgroup/edgeprune-XXXXXX)
trap 'rmdir "$branch"' EXIT
ls "$branch/cgroup.kill"
"""


class UserSystemd:
    """A device with a systemd of its user's; turned off at first.

    Args:
        sshd: its server.
    """

    def __init__(self, sshd: Sshd) -> None:
        self.sshd = sshd
        self._folder = sshd.folder / "machine"
        self._branch = f"/sys/fs/cgroup/edgeprune-{os.getpid()}-{sshd.port}"
        self._running: list[subprocess.Popen[bytes]] = []
        self._folder.mkdir()
        for name, text in {
            "machine-id": f"{sshd.port:032x}\n",
            "journald.conf": _JOURNAL_SETTINGS,
            "loginctl": _LOGINCTL,
            "boot_id": "",
        }.items():
            (self._folder / name).write_text(text, encoding="utf-8")
        (self._folder / "loginctl").chmod(0o755)
        self._leave_running(_BUILD)

    def boot(self) -> None:
        """Start the user's systemd, which starts what is to run from boot on."""
        number = time.time_ns() % (1 << 48)
        (self._folder / "boot_id").write_text(f"00000000-0000-4000-8000-{number:012x}\n")
        self._leave_running(_BOOT)
        deadline = time.monotonic() + 20
        while self.systemctl("is-system-running").stdout.strip() not in ("running", "degraded"):
            if time.monotonic() > deadline:
                raise RuntimeError(f"systemd does not start: {self.log}")
            time.sleep(0.05)

    def power_off(self) -> None:
        """End everything at once, with whatever was in memory."""
        self.sshd.cut()
        self._run(_POWER_OFF)

    def remove(self) -> None:
        """Leave nothing of it to this machine."""
        self._run(_REMOVE)
        for process in self._running:
            process.kill()
            process.wait()

    @property
    def log(self) -> str:
        """What the programs of its system said."""
        return (self._folder / "log").read_text(encoding="utf-8", errors="replace")

    def systemctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Ask it, as ``pi`` would."""
        user = str(USER_ID)
        command = [
            *("setpriv", "--reuid", user, "--regid", user, "--clear-groups"),
            *("env", f"HOME={HOME}", f"XDG_RUNTIME_DIR=/run/user/{USER_ID}"),
            *("systemctl", "--user", *arguments),
        ]
        return subprocess.run(
            [*self._inside(), *command], capture_output=True, text=True, check=False, timeout=30
        )

    def tell(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.systemctl("show", f"--property={name}", "--value", unit).stdout.strip()

    def _inside(self) -> list[str]:
        return ["nsenter", "--target", str(self.sshd.init), "--mount", "--pid", "--"]

    def _arguments(self, script: str) -> list[str]:
        words = (str(self._folder), self._branch, str(USER_ID), HOME)
        return [*self._inside(), "sh", "-c", script, "sh", *words]

    def _run(self, script: str) -> None:
        subprocess.run(self._arguments(script), check=True, timeout=30)

    def _leave_running(self, script: str) -> None:
        """Run a program that is no child of the server, which a cut would end."""
        with (self._folder / "log").open("ab") as log:
            self._running.append(
                subprocess.Popen(
                    self._arguments(script), stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
            )


def need_systemd() -> None:
    """Skip where no systemd of a user's can run; where it has to, fail."""
    reason = _missing()
    if reason and os.environ.get("EDGEPRUNE_REQUIRE_SYSTEMD"):
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


@cache
def _missing() -> str:
    """Why none can run here; empty when one can."""
    absent = [path for path in _FILES if not Path(path).exists()]
    absent += [name for name in _PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"no {', '.join(absent)}: apt-get install systemd"
    command = ["unshare", "--mount", "sh", "-c", _PROBE]
    done = subprocess.run(command, capture_output=True, check=False, timeout=30)
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip()
        return f"a user's systemd needs cgroup2, to write there, and Linux 5.14: {reason}"
    return ""
