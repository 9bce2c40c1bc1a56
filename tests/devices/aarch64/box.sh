#!/bin/bash
# The first process of an aarch64 box: private mounts, private binfmt_misc, one sshd.
#
# It starts in new user, mount, process, UTS and IPC namespaces, as their root. The box lives as
# long as its standard input is open: when that ends, however it ends, this process exits and the
# kernel takes away every process and mount of the namespaces.
#
# usage: box.sh ROOT WORK QEMU CPU, where WORK holds box/, sshd_config, host_key, authorized_keys
set -euo pipefail
root=$1 work=$2 qemu=$3 cpu=$4
box=$work/box
# An ordinary user's lacks where chroot lies.
PATH=$PATH:/usr/sbin:/sbin

mount -t tmpfs -o mode=755 tmpfs "$box"
mkdir "$box"/{binfmt,upper,overlay,root}

# An ELF file for aarch64. F opens the interpreter now, so the chroot needs no copy of it.
mount -t binfmt_misc binfmt_misc "$box/binfmt"
magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
printf '%s' ":qemu-aarch64:M::$magic:$mask:$qemu:OPF" >"$box/binfmt/register"

mount -t overlay -o "lowerdir=$root,upperdir=$box/upper,workdir=$box/overlay,userxattr" \
    overlay "$box/root"
cd "$box/root"

mount -t proc -o nosuid,nodev,noexec proc proc
# The host's /sys would tell of the host's processor, which crashes and misleads libraries.
mount -t tmpfs -o mode=755 tmpfs sys
cores=sys/devices/system/cpu
mkdir -p "$cores/cpu0/cpufreq" sys/class/thermal/thermal_zone0 sys/firmware/devicetree/base
for list in possible present online; do echo 0-3 >"$cores/$list"; done
echo ondemand >"$cores/cpu0/cpufreq/scaling_governor"
echo 1500000 >"$cores/cpu0/cpufreq/scaling_cur_freq"
echo cpu-thermal >sys/class/thermal/thermal_zone0/type
echo 48686 >sys/class/thermal/thermal_zone0/temp
printf 'Raspberry Pi 4 Model B Rev 1.4\0' >sys/firmware/devicetree/base/model

mount -t tmpfs -o mode=755 tmpfs dev
for node in null zero full random urandom tty; do
    : >"dev/$node"
    mount --bind "/dev/$node" "dev/$node"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,mode=620,ptmxmode=666 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd

QEMU_CPU=$cpu chroot . /bin/hostname raspberrypi
cp "$work/sshd_config" etc/ssh/sshd_config
cp "$work/host_key" etc/ssh/host_key
chmod 600 etc/ssh/host_key
if [ -r /etc/resolv.conf ]; then cat /etc/resolv.conf >etc/resolv.conf; fi
mkdir -p run/sshd home/pi/.ssh
cp "$work/authorized_keys" home/pi/.ssh/authorized_keys
chmod 700 home/pi home/pi/.ssh
chown -R 1000:1000 home/pi
chmod 1777 tmp

echo mounted
env -i "QEMU_CPU=$cpu" PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    chroot . /usr/sbin/sshd -D -e -f /etc/ssh/sshd_config </dev/null >&2 &
exec 3<&0 >&2
cat <&3 >/dev/null &
exec 3<&- </dev/null
wait -n
