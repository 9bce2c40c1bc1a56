"""QEMU as a process: how it is started, found again, and ended."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeprune.deployment.device.process import identity, is_alive, stop
from edgeprune.errors import DeviceError, ProcessError
from edgeprune.process import run
from edgeprune.virtual_pi.image import Image
from edgeprune.virtual_pi.monitor import Monitor

__all__ = ["CLEAN", "HOST", "SUSPENDED", "Emulator"]

HOST = "127.0.0.1"
#: Snapshots: after the first boot, and when it was stopped last.
CLEAN, SUSPENDED = "clean", "suspended"
MEMORY_MIB = 1024
#: Names of the network's devices as the kernel gives them; nobody logs in at a serial port.
_KERNEL_ARGUMENTS = "console=ttyAMA0 loglevel=4 net.ifnames=0 systemd.getty_auto=no"
_START_LIMIT_S = 120.0
_SNAPSHOT_LIMIT_S = 300.0
_ENDING_S = 10.0
_SHOWN_LINES = 15


@dataclass(frozen=True)
class Emulator:
    """The machine of an image: its disk, its snapshots, and the process where it runs.

    Attributes:
        image: what it boots; disk, socket and log lie in the same folder.
        port: of this computer, behind which its SSH server is.
    """

    image: Image
    port: int

    @property
    def disk(self) -> Path:
        """What differs from the image, and the snapshots."""
        return self.image.folder / "disk.qcow2"

    @property
    def console(self) -> Path:
        """What the kernel and systemd said since it was started last."""
        return self.image.folder / "console.log"

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return is_alive(self._process())

    def snapshots(self) -> set[str]:
        """Names of the snapshots on the disk. Ask while it does not run."""
        if not self.disk.exists():
            return set()
        facts = json.loads(run(["qemu-img", "info", "--output=json", self.disk]))
        return {each["name"] for each in facts.get("snapshots", ())}

    def new_disk(self) -> None:
        """Begin with an empty disk over the image's, without snapshots."""
        part = self.disk.with_suffix(".part")
        run(
            [
                *("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw"),
                *("-b", self.image.root.name, part),
            ]
        )
        part.replace(self.disk)

    def arguments(self, snapshot: str | None) -> list[str]:
        """The command: one core, and a clock that counts instructions, 1 ns each."""
        forward = f"tcp:{HOST}:{self.port}-:22"
        return [
            *("qemu-system-aarch64", "-nodefaults", "-no-user-config", "-display", "none"),
            *("-M", "virt,gic-version=3", "-cpu", "cortex-a72", "-smp", "1"),
            *("-m", str(MEMORY_MIB), "-icount", "shift=0"),
            *("-kernel", str(self.image.kernel), "-initrd", str(self.image.initrd)),
            *("-append", _KERNEL_ARGUMENTS),
            *("-drive", f"if=none,id=disk,format=qcow2,file={_escaped(self.disk)}"),
            *("-device", "virtio-blk-device,drive=disk"),
            *("-netdev", f"user,id=net,restrict=on,hostfwd={forward}"),
            *("-device", "virtio-net-device,netdev=net"),
            *("-chardev", f"file,id=console,path={_escaped(self.console)}"),
            *("-serial", "chardev:console"),
            *("-qmp", f"unix:{self._socket.name},server=on,wait=off"),
            *("-pidfile", str(self._pid_file), "-daemonize"),
            *(() if snapshot is None else ("-loadvm", snapshot)),
        ]

    def start(self, snapshot: str | None) -> None:
        """Start the process, which outlives this one.

        Args:
            snapshot: where to go on; none boots.

        Raises:
            DeviceError: the port is taken, or QEMU refuses.
        """
        self._require_port()
        for path in (self._record, self._pid_file, self._socket):
            path.unlink(missing_ok=True)
        try:
            run(self.arguments(snapshot), cwd=self.image.folder, timeout_s=_START_LIMIT_S)
        except ProcessError as error:
            raise DeviceError(f"the virtual Pi does not start: {error}") from error
        finally:
            self._keep_process()

    def save(self, name: str) -> None:
        """Take a snapshot of memory and disk.

        Raises:
            DeviceError: it can't be taken; no room, for example.
        """
        with Monitor(self._socket) as monitor:
            monitor.command(f"savevm {name}", limit_s=_SNAPSHOT_LIMIT_S)

    def forget(self, name: str) -> None:
        """Delete a snapshot, while it runs."""
        with Monitor(self._socket) as monitor:
            monitor.command(f"delvm {name}", limit_s=_SNAPSHOT_LIMIT_S)

    def end(self) -> None:
        """End the process as a power cut would; nothing happens when it does not run."""
        process = self._process()
        # One whose start was interrupted may answer here and be noted nowhere.
        with contextlib.suppress(DeviceError), Monitor(self._socket) as monitor:
            monitor.execute("quit")
        deadline = time.monotonic() + _ENDING_S
        while is_alive(process) and time.monotonic() < deadline:
            time.sleep(0.05)
        if process:
            stop(process, _ENDING_S)
        for path in (self._record, self._pid_file, self._socket):
            path.unlink(missing_ok=True)

    def last_words(self) -> str:
        """The end of the console, for errors."""
        try:
            text = self.console.read_text(errors="replace")
        except FileNotFoundError:
            return ""
        lines = [line for line in text.splitlines() if line.strip()][-_SHOWN_LINES:]
        return "".join(f"\n  | {line}" for line in lines)

    @property
    def _socket(self) -> Path:
        return self.image.folder / "monitor"

    @property
    def _pid_file(self) -> Path:
        return self.image.folder / "qemu.pid"

    @property
    def _record(self) -> Path:
        return self.image.folder / "process.json"

    def _keep_process(self) -> None:
        """Note id and start time, so that no other process is ever taken for it."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            process = identity(int(self._pid_file.read_text()))
            if process is not None:
                self._record.write_text(json.dumps(process))

    def _process(self) -> dict[str, Any]:
        try:
            record: dict[str, Any] = json.loads(self._record.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return record

    def _require_port(self) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, self.port))
            except OSError as error:
                raise DeviceError(
                    f"port {self.port} of this computer can't be had: {error.strerror}",
                    where=f"{HOST}:{self.port}",
                    hint=f"end what listens there (ss -ltnp 'sport = :{self.port}'), or take "
                    "another: --set target.ssh.port=20023, here and in what follows",
                ) from error


def _escaped(path: Path) -> str:
    """A path as a value of QEMU's options, where a comma is written twice."""
    return str(path).replace(",", ",,")
