#!/bin/sh
# Builds etcd's own load generator, `benchmark`, from Debian's etcd source package with Debian's Go, and prints its path.
# Nothing is installed: packages are fetched and unpacked under the cache folder, where the result stays for the next run.
# Needs apt, dpkg-deb and a Debian mirror. `etcd` itself comes from the package etcd-server.
set -eu

cache=${RAFTSMAN_BENCH_CACHE:-/tmp/raftsman-bench-etcd}
tool=$cache/benchmark
if [ -x "$tool" ]; then
  echo "$tool"
  exit 0
fi

work=$cache/work
mkdir -p "$work/lists/partial" "$work/debs" "$work/root" "$work/source"
cd "$work"
. /etc/os-release
mirror=${RAFTSMAN_BENCH_MIRROR:-http://deb.debian.org/debian}
printf 'deb %s %s main\ndeb-src %s %s main\n' "$mirror" "$VERSION_CODENAME" "$mirror" "$VERSION_CODENAME" >sources.list
apt="-o Dir::Etc::SourceList=$work/sources.list -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists=$work/lists"
apt="$apt -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root"

{
  # shellcheck disable=SC2086 # the options are words
  {
    apt-get $apt -q update
    (cd source && apt-get $apt -q source --download-only etcd)
    wanted=$(apt-cache $apt showsrc etcd | sed -n 's/^Build-Depends: //p' | tr ',' '\n' | grep -oE 'golang-[a-z0-9.-]+-dev' | sort -u)
    # Resolved as on an empty machine, so that of alternatives exactly one is taken.
    needed=$(apt-get $apt -o Dir::State::status=/dev/null -s --no-install-recommends install $wanted |
      sed -nE 's/^Inst (golang-[a-z0-9.-]+-dev) .*/\1/p' | sort -u)
    go=$(apt-cache $apt depends golang-go | grep -oE 'golang-[0-9.]+-go' | head -1)
    (cd debs && apt-get $apt -q download $needed "$go" "${go%-go}-src")
  }
  for package in debs/*.deb; do dpkg-deb -x "$package" root; done

  gopath=$work/root/usr/share/gocode
  etcd=$gopath/src/go.etcd.io/etcd
  rm -rf "$etcd" && mkdir -p "$etcd"
  tar -xf source/etcd_*.orig.tar.* -C "$etcd" --strip-components=1
  (cd "$etcd" && tar -xf "$work"/source/etcd_*.debian.tar.* && for patch in $(grep -v '^#' debian/patches/series); do
    patch -s -p1 <"debian/patches/$patch"
  done)

  version=${go#golang-}
  goroot=$work/root/usr/lib/go-${version%-go}
  (cd "$etcd" && GOROOT=$goroot GOPATH=$gopath GO111MODULE=off GOFLAGS= GOCACHE=$work/gocache "$goroot/bin/go" build -o "$tool" ./tools/benchmark)
} >&2

rm -rf "$work"
echo "$tool"
