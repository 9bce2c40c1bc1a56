#!/usr/bin/env python3
"""Stands in for QEMU: detaches itself, writes its id, and answers its monitor.

A snapshot is a line of the disk's file, as ``fake_qemu_img.py`` has it. Where the folder holds a
file ``refuse``, it does not start and says what that holds; ``refuse-savevm`` is for snapshots.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path


def main() -> None:
    if "--version" in sys.argv:
        print(Path(os.environ["FAKE_QEMU_VERSION"]).read_text())
        return
    values = dict(zip(sys.argv[1:], sys.argv[2:], strict=False))
    folder = Path.cwd()
    if (folder / "refuse").exists():
        sys.exit((folder / "refuse").read_text())
    with (folder / "arguments").open("a") as file:
        file.write(json.dumps(sys.argv[1:]) + "\n")
    name = values["-qmp"].removeprefix("unix:").partition(",")[0]
    server = socket.socket(socket.AF_UNIX)
    server.bind(name)
    server.listen()
    if os.fork():
        os._exit(0)
    os.setsid()
    Path(values["-pidfile"]).write_text(f"{os.getpid()}\n")
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    while True:
        serve(server.accept()[0], folder)


def serve(connection: socket.socket, folder: Path) -> None:
    with connection, connection.makefile("rw") as lines:

        def say(answer: object) -> None:
            print(json.dumps(answer), file=lines, flush=True)

        say({"QMP": {"version": {}, "capabilities": []}})
        for line in lines:
            request = json.loads(line)
            said = ""
            if request["execute"] == "human-monitor-command":
                said = command(request["arguments"]["command-line"], folder)
            say({"event": "SOMETHING"})
            say({"return": said if said else {} if "human" not in line else ""})
            if request["execute"] == "quit":
                os._exit(0)


def command(line: str, folder: Path) -> str:
    verb, name = line.split()
    disk = folder / "disk.qcow2"
    if verb == "savevm" and (folder / "refuse-savevm").exists():
        return "Error: no room"
    names = [each for each in disk.read_text().split() if each != name]
    disk.write_text("\n".join([*names, name] if verb == "savevm" else names))
    return ""


if __name__ == "__main__":
    main()
