#!/usr/bin/env bash
# Runs the suite that `build.sh` has built against the cluster of KUBECONFIG, which needs two nodes and the images of
# `images.sh`, and tells what failed. First what may run side by side, then what may not.
#   run.sh [FOCUS [SKIP]]      patterns of tests' names; all of [Conformance] else
# KUBECTL: the kubectl to use (of the PATH else). RAFTSMAN_SUITE_JOBS: how many tests at a time (3).
set -uo pipefail
: "${KUBECONFIG:?names the cluster}"
cache=${RAFTSMAN_SUITE_CACHE:-/tmp/raftsman-suite}
kubectl=${KUBECTL:-$(command -v kubectl)}
reports=$(mktemp -d "${TMPDIR:-/tmp}/raftsman-suite-reports.XXXXXX")
focus=${1:-'\[Conformance\]'}
skip=${2:-'^$'}
alone='\[Serial\]|\[Disruptive\]'
code=0

# play NAME JOBS ARGUMENT…
play() {
  local name=$1 jobs=$2
  shift 2
  "$cache/bin/ginkgo" -nodes="$jobs" -noColor "$@" "$cache/bin/e2e.test" -- --provider=skeleton --kubeconfig "$KUBECONFIG" \
    --kubectl-path "$kubectl" --disable-log-dump --report-dir "$reports/$name" --node-schedulable-timeout=1m \
    >"$reports/$name.txt" 2>&1 || code=1
}
play together "${RAFTSMAN_SUITE_JOBS:-3}" -focus="$focus" -skip="$alone|$skip"
# What runs alone: names that say so, of those that are asked for.
play alone 1 -focus="($focus).*($alone)|($alone).*($focus)" -skip="$skip"

grep -hoE '^\{"msg":"(PASSED|FAILED) [^"]*' "$reports"/*.txt | sed 's/^{"msg":"//' | sort -u >"$reports/results"
grep '^FAILED' "$reports/results"
echo "$(grep -c '^PASSED' "$reports/results") passed, $(grep -c '^FAILED' "$reports/results") failed; the whole output is in $reports"
exit $code
