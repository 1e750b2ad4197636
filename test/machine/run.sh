#!/usr/bin/env bash
# Runs tests in a small virtual machine with Debian's kernel: one with cgroup v2 alone and WireGuard, which the machine at
# hand may not have. The machine's root is this one's, read-only, with a disk that is thrown away above it. See README.md.
set -euo pipefail

if [ $# -eq 0 ]; then
  echo "usage: $0 FILE… | $0 -c COMMAND" >&2
  exit 64
fi
here=$(cd "$(dirname "$0")" && pwd)
repository=$(cd "$here/../.." && pwd)
kept=${RAFTSMAN_MACHINE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/raftsman-machine}
kernel_package=${RAFTSMAN_MACHINE_KERNEL:-linux-image-amd64}
root=${RAFTSMAN_MACHINE_ROOT:-/}
memory=${RAFTSMAN_MACHINE_MEMORY:-6G}
processors=${RAFTSMAN_MACHINE_PROCESSORS:-$(nproc)}
limit=${RAFTSMAN_MACHINE_TIMEOUT:-1h}
disk_size=8G
# What the first program needs to mount the root; all else is loaded when it is asked for.
first_modules=(virtio_pci virtio_blk virtio_net virtio_console 9pnet_virtio 9p crc32c_generic ext4 overlay)

for program in qemu-system-x86_64 apt-get apt-cache dpkg-deb mke2fs; do
  command -v "$program" >/dev/null || { echo "$0: $program is missing" >&2; exit 69; }
done

# Makes $kept/PACKAGE: vmlinuz, modules, busybox and wg out of Debian's packages.
make_kernel() {
  local to=$kept/$kernel_package new=$kept/$kernel_package.new real version
  [ -e "$to/vmlinuz" ] && return
  rm -rf "$new" && mkdir -p "$new/packages"
  real=$(apt-cache depends "$kernel_package" | sed -n 's/^ *Depends: \(linux-image-.*\)/\1/p' | head -n 1)
  echo "$0: fetching ${real:-$kernel_package}, busybox-static and wireguard-tools" >&2
  (cd "$new/packages" && apt-get -qq download "${real:-$kernel_package}" busybox-static wireguard-tools 2>/dev/null)
  for package in "$new"/packages/*.deb; do dpkg-deb -x "$package" "$new/files"; done
  mv "$new"/files/boot/vmlinuz-* "$new/vmlinuz"
  find "$new/files" -path '*/lib/modules' -exec mv {} "$new/modules" \; -prune
  mkdir "$new/bin"
  find "$new/files" -type f '(' -path '*/bin/busybox' -o -path '*/bin/wg' ')' -exec mv {} "$new/bin/" \;
  find "$new/modules" -name '*.ko.xz' -exec xz -d {} +
  version=$(basename "$new"/modules/*)
  # It looks for modules below lib/modules alone.
  mkdir "$new/lib" && mv "$new/modules" "$new/lib/modules"
  "$new/bin/busybox" depmod -b "$new" "$version"
  ln -s busybox "$new/bin/modprobe"
  rm -rf "$new/files" "$new/packages" "$to"
  mv "$new" "$to"
}

# Prints a module's file and those that it needs, these first, as paths below the folder of modules.
files_of() {
  local line dependency
  line=$(grep -m 1 -E "/${1//_/[-_]}\.ko:" "$modules/modules.dep") || return 0 # built in
  for dependency in ${line#*:}; do files_of "$(basename "$dependency" .ko)"; done
  echo "${line%%:*}"
}

# Prints KVM only if a guest really runs: without a root the kernel gives up at once, and QEMU ends with it.
accelerator_here() {
  local options=(-accel kvm -cpu max -nodefaults -no-reboot -display none -kernel "$kernel/vmlinuz" -append panic=-1)
  if [ -w /dev/kvm ] && timeout 15 qemu-system-x86_64 "${options[@]}" 2>/dev/null; then
    echo kvm
  else
    echo "$0: no KVM here: the machine is emulated, and many times slower" >&2
    echo tcg,thread=multi,tb-size=1024
  fi
}

make_kernel
kernel=$kept/$kernel_package
accelerator=${RAFTSMAN_MACHINE_ACCELERATOR:-$(accelerator_here)}
modules=$(echo "$kernel"/lib/modules/*)
work=$(mktemp -d "${TMPDIR:-/tmp}/raftsman-machine-XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/first/{bin,dev,proc,sys,host,disk,root,modules} "$work/result"
cp "$kernel/bin/busybox" "$work/first/bin/busybox"
cp "$here/first.sh" "$work/first/init"
chmod 755 "$work/first/init"
number=0
for file in $(for module in "${first_modules[@]}"; do files_of "$module"; done | awk '!seen[$0]++'); do
  number=$((number + 1))
  cp "$modules/$file" "$work/first/modules/$(printf %02d "$number")-$(basename "$file")"
done
(cd "$work/first" && find . | "$kernel/bin/busybox" cpio -o -H newc 2>/dev/null) >"$work/first.cpio"

# What is to be done inside, with what it is to know of here.
{
  if [ "$root" != / ]; then
    for tag in repository node_modules; do
      where=$(realpath "$repository/${tag#repository}")
      printf 'mkdir -p %q && mount -t 9p -o ro,cache=loose,trans=virtio,version=9p2000.L,msize=512000 %s %q\n' \
        "$where" "$tag" "$where"
    done
  fi
  for name in $(compgen -e | grep -E '^(PATH|LANG|NODE_.*|RAFTSMAN_.*)$' | grep -v '^RAFTSMAN_MACHINE_'); do
    printf 'export %s=%q\n' "$name" "${!name}"
  done
  printf 'export PATH=%q\ncd %q\n' "$repository/node_modules/.bin:$PATH" "$repository"
  if [ "$1" = -c ]; then
    printf '%s\n' "$2"
  else
    printf 'ava --timeout=%s' "${RAFTSMAN_MACHINE_TEST_TIMEOUT:-300s}"
    printf ' %q' "$@"
    echo
  fi
} >"$work/result/command"
cp "$here/inside.sh" "$work/result/inside"
truncate -s "$disk_size" "$work/disk"
mke2fs -q -t ext4 -F "$work/disk"

# shellcheck disable=SC2054 # the commas are QEMU's
arguments=(
  -accel "$accelerator" -cpu max,la57=off -smp "$processors" -m "$memory" -nodefaults -no-user-config -no-reboot
  -display none -serial "file:$work/console"
  -device virtio-serial-pci -chardev stdio,id=out,signal=on -device virtconsole,chardev=out
  -kernel "$kernel/vmlinuz" -initrd "$work/first.cpio"
  -append "console=ttyS0 loglevel=4 panic=-1 mitigations=off cgroup_no_v1=all"
  -drive "file=$work/disk,format=raw,if=virtio,cache=unsafe"
  -nic user,model=virtio-net-pci
)
share() { # TAG PATH OPTIONS
  arguments+=(-fsdev "local,id=$1,path=$2,security_model=none,multidevs=remap$3" -device "virtio-9p-pci,fsdev=$1,mount_tag=$1")
}
share host "$root" ,readonly=on
share kernel "$kernel" ,readonly=on
if [ "$root" != / ]; then
  share repository "$repository" ,readonly=on
  share node_modules "$(realpath "$repository/node_modules")" ,readonly=on
fi
share result "$work/result" ''

timeout --foreground "$limit" qemu-system-x86_64 "${arguments[@]}" </dev/null || true
if [ ! -e "$work/result/code" ]; then
  echo "$0: the machine ended before the tests did; its console:" >&2
  tail -n 40 "$work/console" >&2
  exit 70
fi
exit "$(cat "$work/result/code")"
