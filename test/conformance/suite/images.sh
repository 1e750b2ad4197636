#!/usr/bin/env bash
# Makes the images that the suite's tests name, out of Debian's files and the suite's own programs, in the engine of DOCKER_HOST.
# `build.sh` has to have run.
set -euo pipefail
cache=${RAFTSMAN_SUITE_CACHE:-/tmp/raftsman-suite}
cd "$cache/files"
docker image inspect suite-base >/dev/null 2>&1 || docker import - suite-base <"$cache/rootfs.tar"

# image NAME LINE…: a Dockerfile's lines.
image() {
  local name=$1
  shift
  printf '%s\n' "$@" >../Dockerfile
  docker build -q -f ../Dockerfile -t "$name" . >/dev/null
  echo "$name"
}
tests=gcr.io/kubernetes-e2e-test-images
agnhost=k8s.gcr.io/e2e-test-images/agnhost:2.21
image $agnhost 'FROM suite-base' 'RUN mkdir -p /uploads' 'COPY localhost.crt localhost.key /' 'COPY agnhost /agnhost' \
  'RUN ln -s agnhost /agnhost-2' 'EXPOSE 80 8080 8081 9376' 'ENTRYPOINT ["/agnhost"]' 'CMD ["pause"]'
image k8s.gcr.io/pause:3.2 "FROM $agnhost"
for picture in nautilus kitten; do
  image "$tests/$picture:1.0" "FROM $agnhost" \
    "RUN echo '{\"image\": \"$picture.jpg\"}' > /data.json && echo $picture > /$picture.jpg" 'CMD ["test-webserver"]'
done
image docker.io/library/busybox:1.29 'FROM scratch' 'COPY busybox /bin/busybox' 'RUN ["/bin/busybox", "--install", "-s", "/bin"]' \
  'RUN mkdir -p /tmp /etc /root /var /home && chmod 1777 /tmp && echo "root:x:0:0:root:/root:/bin/sh" > /etc/passwd' 'CMD ["sh"]'
docker tag busybox:1.29 $tests/busybox:1.29
for version in 2.4.38 2.4.39; do
  image "docker.io/library/httpd:$version-alpine" 'FROM suite-base' \
    "RUN mkdir -p /usr/local/apache2 && ln -s /var/www/html /usr/local/apache2/htdocs && echo '<html><body><h1>It works!</h1></body></html>' > /var/www/html/index.html && echo $version > /version" \
    'EXPOSE 80' 'CMD ["apache2ctl", "-D", "FOREGROUND"]'
done
for version in 1.14 1.15; do
  image "docker.io/library/nginx:$version-alpine" 'FROM suite-base' "RUN echo $version > /version" 'EXPOSE 80' \
    'CMD ["nginx", "-g", "daemon off;"]'
done
image $tests/nonewprivs:1.0 'FROM suite-base' 'COPY nonewprivs /usr/local/bin/nnp' 'RUN chmod +s /usr/local/bin/nnp' \
  'ENTRYPOINT ["/usr/local/bin/nnp"]'
image $tests/jessie-dnsutils:1.0 'FROM suite-base' 'CMD ["sleep", "1000000"]'
image $tests/sample-apiserver:1.17 'FROM suite-base' 'COPY sample-apiserver /sample-apiserver' 'ENTRYPOINT ["/sample-apiserver"]'
image k8s.gcr.io/etcd:3.4.13-0 'FROM suite-base' 'COPY etcd /usr/local/bin/etcd' 'CMD ["etcd"]'
image $tests/resource-consumer:1.5 'FROM suite-base' 'COPY resource-consumer consume-cpu /' 'ENTRYPOINT ["/resource-consumer"]'
image docker.io/library/perl:5.26 'FROM suite-base' 'CMD ["perl"]'
