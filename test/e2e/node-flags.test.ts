/** Flags of nodes that `raftsman up` hands on reach every node. */
import { readFile } from 'node:fs/promises';
import test from 'ava';
import { connectApi } from '../helpers/api.ts';
import { newCluster } from '../helpers/cluster.ts';

test('raftsman up hands flags of nodes on to all of them', async t => {
  const args = [
    '--node-label',
    'rack=one',
    '--image-gc-high-threshold',
    '91',
    '--eviction-hard',
    'memory.available<7Mi',
  ];
  const cluster = await newCluster({ masters: 1, nodes: 2, runtime: 'fake', args });
  t.teardown(() => cluster.remove());
  await cluster.start();
  const api = await connectApi(cluster.kubeconfig, cluster.port);
  t.teardown(() => api.close());
  for (const name of ['node-1', 'node-2']) {
    const node = (await api.call('GET', `/api/v1/nodes/${name}`)).body as { metadata: { labels: object } };
    t.like(node.metadata.labels, { rack: 'one' }, name);
    const { body } = await api.call('GET', `/api/v1/nodes/${name}/proxy/configz`);
    const { kubeletconfig } = body as { kubeletconfig: object };
    t.like(kubeletconfig, { imageGCHighThresholdPercent: 91, evictionHard: { 'memory.available': '7Mi' } }, name);
    const line = await readFile(`/proc/${await cluster.pidOf(name)}/cmdline`, 'utf8');
    t.regex(line, /\0--max-semi-space-size=\d+\0.*\0agent\0/, 'an agent’s memory is bounded');
  }
});
