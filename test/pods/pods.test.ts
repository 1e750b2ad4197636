/**
 * The suite of pods: manifests with the ends that Kubernetes gives them, on real runtimes and a real kernel. A short form
 * runs by default; `RAFTSMAN_POD_CASES=all` runs all of them, and any other value those whose name matches it.
 */
import test from 'ava';
import { connectApi } from '../helpers/api.ts';
import { newCluster, type TestCluster } from '../helpers/cluster.ts';
import { makeBusyboxImage } from '../helpers/images.ts';
import { testWith } from '../helpers/requirements.ts';
import type { PodCase } from './case.ts';
import { allCases } from './cases/index.ts';
import { runCases } from './runner.ts';

const IMAGE = 'raftsman-pods/busybox:1';
const IMAGE_WITH_ENTRYPOINT = 'raftsman-pods/entrypoint:1';
const AT_ONCE = 12;
const SUITE_TIMEOUT_MS = 600_000;

const clusters: TestCluster[] = [];
test.after.always('remove the clusters', async () => {
  for (const cluster of clusters) await cluster.remove();
});

function isAsked({ name, short }: PodCase): boolean {
  const wanted = process.env.RAFTSMAN_POD_CASES ?? '';
  if (wanted === 'all') return true;
  return wanted === '' ? short === true : new RegExp(wanted).test(name);
}

/** Why a case is not for this runtime or this machine; undefined if it is. */
function whyNot({ only, lacking }: PodCase, runtime: 'docker' | 'native'): string | undefined {
  return only && only.runtime !== runtime ? only.why : lacking?.();
}

test('no two cases have one name, and there are as many as there should be', t => {
  const names = allCases.map(({ name }) => name);
  t.deepEqual(
    names.filter((name, index) => names.indexOf(name) !== index),
    [],
  );
  t.true(names.every(name => /^[a-z0-9-]{1,63}$/.test(name)));
  t.true(names.length >= 150, `${names.length}`);
});

for (const runtime of ['docker', 'native'] as const) {
  const needs = runtime === 'docker' ? (['root', 'docker', 'busybox'] as const) : (['root', 'busybox'] as const);
  testWith(needs)(`pods come to their ends on ${runtime}`, async t => {
    t.timeout(SUITE_TIMEOUT_MS);
    const asked = allCases.filter(isAsked).map(one => ({ one, why: whyNot(one, runtime) }));
    for (const { one, why } of asked) if (why !== undefined) t.log(`${one.name} is left out: ${why}`);
    t.true(asked.length > 0, 'RAFTSMAN_POD_CASES names no case');
    const cases = asked.filter(({ why }) => why === undefined).map(({ one }) => one);
    if (runtime === 'docker') {
      await makeBusyboxImage(IMAGE);
      await makeBusyboxImage(IMAGE_WITH_ENTRYPOINT, ['ENTRYPOINT ["echo", "entry"]', 'CMD ["default"]']);
    }
    const cluster = await newCluster({ masters: 1, nodes: 1, runtime });
    clusters.push(cluster);
    await cluster.start();
    const api = await connectApi(cluster.kubeconfig, cluster.port);
    const startedAt = performance.now();
    const image = runtime === 'docker' ? IMAGE : 'host';
    const failures = await runCases(cases, { cluster, api, runtime, image, atOnce: AT_ONCE });
    api.close();
    t.log(`${cases.length} pods in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
    for (const { name, why } of failures) t.log(`${name}: ${why}`);
    t.deepEqual(
      failures.map(({ name }) => name),
      [],
    );
    await cluster.stop();
    t.deepEqual(await cluster.processes(), [], 'a cluster that was stopped leaves no process');
  });
}
