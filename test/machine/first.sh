#!/bin/busybox sh
# shellcheck shell=dash
# The machine's first program: makes the root of the shared one and the disk, and leaves the rest to `inside.sh`.
bb=/bin/busybox
$bb mount -t devtmpfs dev /dev
for module in /modules/*; do $bb insmod "$module"; done
how=trans=virtio,version=9p2000.L,msize=512000
$bb mount -t 9p -o "ro,cache=loose,$how" host /host
$bb mount -t ext4 /dev/vda /disk
$bb mkdir /disk/above /disk/work /disk/scratch
$bb mount -t overlay -o lowerdir=/host,upperdir=/disk/above,workdir=/disk/work overlay /root
$bb mkdir -p /root/machine /root/scratch
$bb mount -t 9p -o "$how" result /root/machine
# Tests make overlays: their folder must not be one.
$bb mount -o bind /disk/scratch /root/scratch
$bb mount -o move /dev /root/dev
exec $bb switch_root /root /bin/bash /machine/inside
