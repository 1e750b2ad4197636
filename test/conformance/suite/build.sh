#!/usr/bin/env bash
# Builds the end-to-end suite of Kubernetes from Debian's source package (1.20, the last that carries it) with Debian's Go, and
# the programs of its images. Nothing is installed: packages are fetched and unpacked below the cache folder, whose path is
# printed. Needs apt, dpkg-deb, a Debian mirror, 8 GB of disk and about a quarter of an hour on two cores.
set -euo pipefail

cache=${RAFTSMAN_SUITE_CACHE:-/tmp/raftsman-suite}
if [ -x "$cache/bin/e2e.test" ] && [ -e "$cache/rootfs.tar" ]; then
  echo "$cache"
  exit 0
fi
work=$cache/work
mkdir -p "$work/lists/partial" "$work/debs" "$work/root" "$work/source" "$cache/bin" "$cache/files"
cd "$work"
. /etc/os-release
mirror=${RAFTSMAN_SUITE_MIRROR:-http://deb.debian.org/debian}
# Named, as later releases carry only what kubectl needs.
printf 'deb %s bookworm main\ndeb-src %s bookworm main\n' "$mirror" "$mirror" >sources.list
apt=(-o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$work/lists"
  -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root)

{
  apt-get "${apt[@]}" -q update
  (cd source && apt-get "${apt[@]}" -q source --download-only kubernetes)
  (cd debs && apt-get "${apt[@]}" -q download golang-1.19-go golang-1.19-src debootstrap)
  for package in debs/*.deb; do dpkg-deb -x "$package" root; done

  export GOROOT=$work/root/usr/lib/go-1.19 GOPATH=$work/go GOCACHE=$work/gocache GO111MODULE=off GOFLAGS= CGO_ENABLED=0
  # Debian keeps parts of Go's tree under /usr/share, with links of absolute paths.
  for link in $(find "$GOROOT" -type l); do
    target=$(readlink "$link")
    case $target in
      /*) ln -sfn "$work/root$target" "$link" ;;
      ../../share/*) : ;;
    esac
  done
  tree=$GOPATH/src/k8s.io/kubernetes
  mkdir -p "$tree"
  tar -xf source/kubernetes_*.orig.tar.gz -C "$tree" --strip-components=1
  cd "$tree"

  # Accounts have no Secrets with tokens since 1.24; the suite of 1.20 waits for one before each test.
  sed -i 's/return len(t.Secrets) > 0, nil/return true, nil/; s/switch t := event.Object.(type) {/switch event.Object.(type) {/' \
    test/e2e/framework/util.go

  go=$GOROOT/bin/go
  "$go" build -o "$work/go-bindata" k8s.io/kubernetes/vendor/github.com/go-bindata/go-bindata/go-bindata
  ignored=(-ignore .jpg -ignore .png -ignore .md -ignore 'BUILD(\.bazel)?')
  "$work/go-bindata" -nometadata -o test/e2e/generated/bindata.go -pkg generated "${ignored[@]}" \
    test/conformance/testdata/... test/e2e/testing-manifests/... test/e2e_node/testing-manifests/... test/images/... test/fixtures/...
  "$work/go-bindata" -nometadata -nocompress -o staging/src/k8s.io/kubectl/pkg/generated/bindata.go -pkg generated \
    "${ignored[@]}" translations/...
  "$go" build -o "$cache/bin/ginkgo" k8s.io/kubernetes/vendor/github.com/onsi/ginkgo/ginkgo
  for program in test/images/agnhost test/images/nonewprivs test/images/resource-consumer \
    test/images/resource-consumer/consume-cpu vendor/k8s.io/sample-apiserver; do
    "$go" build -o "$cache/files/$(basename "$program")" "k8s.io/kubernetes/$program"
  done
  cp test/images/agnhost/porter/localhost.* "$cache/files/"
  "$go" test -c -o "$cache/bin/e2e.test" k8s.io/kubernetes/test/e2e

  # What the suite's images have of a distribution.
  included=curl,dnsutils,net-tools,netcat-openbsd,iproute2,nginx-light,apache2,procps,iputils-ping,util-linux,busybox-static,etcd-server
  DEBOOTSTRAP_DIR=$work/root/usr/share/debootstrap "$work/root/usr/sbin/debootstrap" --variant=minbase \
    --include="$included" bookworm "$work/rootfs" "$mirror"
  cp "$work/rootfs/bin/busybox" "$work/rootfs/usr/bin/etcd" "$cache/files/"
  tar -C "$work/rootfs" --exclude='./proc/*' --exclude='./var/cache/*' --exclude='./var/lib/apt/*' --exclude='./usr/share/doc/*' \
    -cf "$cache/rootfs.tar" .
} >&2

rm -rf "$work"
echo "$cache"
