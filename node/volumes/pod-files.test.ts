import { mkdtemp, readFile, rm, stat, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { Pod } from '../../control/api/generated/types.ts';
import { writePodFiles } from './pod-files.ts';

const pod: Pod = { metadata: { name: 'p', namespace: 'default' }, spec: { containers: [{ name: 'c' }] } };
/** More than can be read at once. */
const HUGE_BYTES = 3 * 1024 ** 3;

test('a file that a container has made huge is kept, and not read whole', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'raftsman-files-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const context = { podIP: '10.42.0.7', nodeHostname: 'node-1', nodeResolvConf: '', clusterDns: undefined } as const;
  const { hosts } = await writePodFiles(folder, pod, context);
  t.regex(await readFile(hosts, 'utf8'), /^10\.42\.0\.7\tp$/m);
  await truncate(hosts, HUGE_BYTES);
  await writePodFiles(folder, pod, context);
  t.is((await stat(hosts)).size, HUGE_BYTES);
  await writePodFiles(folder, pod, { ...context, podIP: '10.42.0.8' });
  t.regex(await readFile(hosts, 'utf8'), /^10\.42\.0\.8\tp$/m);
});
