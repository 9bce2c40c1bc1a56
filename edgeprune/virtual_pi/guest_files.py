"""What the virtual Pi's packages don't bring: accounts, logins, and what starts at boot.

The packages are unpacked and their scripts never run, for that takes minutes under emulation. The
files here are what those scripts, and the owner of a Raspberry Pi, would have written.
"""

from __future__ import annotations

__all__ = ["FILES", "FOLDERS", "INIT", "LINKS"]

HOST_NAME = "virtual-pi"
#: What is written here is heard: int16 PCM.
MICROPHONE = "/run/microphone"
_WANTED = "etc/systemd/system/multi-user.target.wants"

#: Run by the kernel from the initial file system, with the modules of its folder /modules.
INIT = """\
#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs dev /dev
for module in /modules/*; do $b insmod "$module"; done
$b ip link set lo up
$b ip address add 10.0.2.15/24 dev eth0
$b ip link set eth0 up
$b mount -t ext4 -o noatime /dev/vda /root || exec $b sh
$b mount -o move /dev /root/dev
exec $b switch_root /root /sbin/init
"""

FILES = {
    "etc/passwd": """\
root:*:0:0:root:/root:/bin/bash
messagebus:*:100:101::/nonexistent:/usr/sbin/nologin
sshd:*:101:65534::/run/sshd:/usr/sbin/nologin
nobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
pi:x:1000:1000:,,,:/home/pi:/bin/bash
""",
    "etc/group": """\
root:x:0:
adm:x:4:pi
tty:x:5:
disk:x:6:
lp:x:7:
dialout:x:20:pi
cdrom:x:24:
tape:x:26:
audio:x:29:pi
shadow:x:42:
utmp:x:43:
video:x:44:pi
users:x:100:pi
messagebus:x:101:
systemd-journal:x:102:
kvm:x:103:
input:x:104:pi
render:x:105:pi
sgx:x:106:
kmem:x:15:
nogroup:x:65534:
pi:x:1000:
""",
    "etc/shadow": """\
root:*:19000:0:99999:7:::
messagebus:*:19000:0:99999:7:::
sshd:*:19000:0:99999:7:::
nobody:*:19000:0:99999:7:::
pi:*:19000:0:99999:7:::
""",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
    "etc/hosts": f"127.0.0.1 localhost {HOST_NAME}\n::1 localhost\n",
    "etc/hostname": f"{HOST_NAME}\n",
    "etc/fstab": "",
    "etc/default/locale": "LANG=C.UTF-8\n",
    "etc/environment": "",
    "etc/pam.d/common-auth": "auth required pam_unix.so\n",
    "etc/pam.d/common-account": "account required pam_unix.so\n",
    "etc/pam.d/common-password": "password required pam_unix.so\n",
    # Root's logins, which set the clock, start no systemd of root's.
    "etc/pam.d/common-session": """\
session required pam_unix.so
session [success=1 default=ignore] pam_succeed_if.so quiet uid = 0
session optional pam_systemd.so
""",
    "etc/pam.d/common-session-noninteractive": "session required pam_unix.so\n",
    "etc/ssh/sshd_config": """\
HostKey /etc/ssh/ssh_host_ed25519_key
UsePAM yes
UseDNS no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AuthorizedKeysFile /etc/ssh/authorized_keys
MaxStartups 100
PrintMotd no
Subsystem sftp internal-sftp
""",
    # An ordinary user may count the instructions of his own programs, which lie at the same
    # addresses each time, so that they take the same branches.
    "etc/sysctl.d/60-edgeprune.conf": (
        "kernel.perf_event_paranoid = 2\nkernel.randomize_va_space = 0\n"
    ),
    # The home folder is given away at boot, for whoever built the image may not do that.
    "etc/tmpfiles.d/virtual-pi.conf": f"d /home/pi 0755 pi pi -\np {MICROPHONE} 0666 root root -\n",
    # One who holds it open, so that its reader meets no end when a writer is done.
    "etc/systemd/system/microphone.service": f"""\
[Unit]
Description=FIFO that stands in for a microphone
After=systemd-tmpfiles-setup.service

[Service]
ExecStart=/bin/sh -c 'exec sleep infinity 3<>{MICROPHONE}'

[Install]
WantedBy=multi-user.target
""",
    # The user's services run while nobody is logged in.
    "var/lib/systemd/linger/pi": "",
    # Nothing is as new as the packages, so that no database of them is made at the first boot.
    "etc/.updated": "",
    "var/.updated": "",
}

FOLDERS = ("dev", "proc", "sys", "run", "tmp", "root", "home/pi", "var/log/journal")

LINKS = {
    "bin/sh": "dash",
    "usr/bin/which": "which.debianutils",
    "etc/systemd/system/default.target": "/lib/systemd/system/multi-user.target",
    f"{_WANTED}/ssh.service": "/lib/systemd/system/ssh.service",
    f"{_WANTED}/microphone.service": "/etc/systemd/system/microphone.service",
}
