#!/bin/bash
# The machine's process 1 once its root is there: brings it up, runs the command, notes its code, and switches off.
exec </dev/null >/dev/hvc0 2>&1
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR=/scratch
chmod 1777 /scratch
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts /dev/pts
ln -sf pts/ptmx /dev/ptmx
ln -sfn /proc/self/fd /dev/fd
for stream in stdin:0 stdout:1 stderr:2; do ln -sf "/proc/self/fd/${stream#*:}" "/dev/${stream%:*}"; done
mount -t tmpfs tmpfs /dev/shm
mount -t mqueue mqueue /dev/mqueue
mount -t tmpfs -o mode=755 tmpfs /run
how=trans=virtio,version=9p2000.L,msize=512000
mkdir -p /machine-kernel "/lib/modules"
mount -t 9p -o "ro,cache=loose,$how" kernel /machine-kernel
mount -o bind /machine-kernel/lib/modules /lib/modules
echo /machine-kernel/bin/modprobe >/proc/sys/kernel/modprobe
cp /machine-kernel/bin/wg /usr/local/bin/wg
ulimit -n 65536
ip link set lo up
ip address add 10.0.2.15/24 dev eth0
ip link set eth0 up
ip route add default via 10.0.2.2
hostname machine
uname -sr

# The command is a child: what it leaves behind is ended by the kernel, and nothing of it is process 1's to wait for.
bash /machine/command
code=$?
echo "$code" >/machine/code
sync
/machine-kernel/bin/busybox poweroff -f
