import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { createAuthority } from '../control/pki/authority.ts';
import { removeNodeRemains } from './main.ts';
import { removeHoldings } from './removal.ts';
import { createFakeRuntime } from './runtime/fake.ts';
import type { Runtime } from './runtime/runtime.ts';
import { plainSandbox } from './runtime/testing/specs.ts';

const testAsRoot = process.platform === 'linux' && process.getuid?.() === 0 ? test : test.skip;

async function folder(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'raftsman-removal-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** A runtime with a sandbox for each of the pods; those of `stuck` do not go. */
async function runtimeWith(pods: readonly string[], stuck: readonly string[]): Promise<Runtime> {
  const runtime = createFakeRuntime({ nodeName: 'n' });
  await runtime.start();
  const ids = new Map<string, string>();
  for (const name of pods) {
    const pod = { uid: name, namespace: 'default', name };
    ids.set((await runtime.createSandbox({ ...plainSandbox(name), pod })).id, name);
  }
  const remove = runtime.removeSandbox.bind(runtime);
  runtime.removeSandbox = async id => {
    if (stuck.includes(ids.get(id) ?? '')) throw new Error(`${ids.get(id)} does not end`);
    await remove(id);
  };
  return runtime;
}

test('what cannot be removed keeps nothing else, and is told', async t => {
  const dataDir = await folder(t);
  await mkdir(join(dataDir, 'pods', 'a', 'volumes'), { recursive: true });
  const runtime = await runtimeWith(['a', 'b', 'c'], ['b']);
  const closed: string[] = [];
  const part = (name: string) => ({
    async close({ remove }: { readonly remove: boolean }) {
      closed.push(`${name} ${remove}`);
      if (name === 'proxy') throw new Error('no nft');
    },
  });
  runtime.close = async () => void closed.push('runtime');
  const services = [part('dns'), part('proxy')];
  const error = await t.throwsAsync(
    removeHoldings({ dataDir, runtime, network: part('network'), services, policies: part('policies') }),
    { code: 'NODE_REMOVAL' },
  );
  t.regex(error.message, /no nft; b does not end$/);
  t.deepEqual(closed, ['dns true', 'proxy true', 'policies true', 'network true', 'runtime']);
  t.deepEqual(
    (await runtime.list()).map(({ pod }) => pod.uid),
    ['b'],
  );
  t.deepEqual(await readdir(join(dataDir, 'pods')), []);
});

testAsRoot('what a killed agent had mounted for its pods is unmounted, not removed through', async t => {
  const [dataDir, elsewhere] = [await folder(t), await folder(t)];
  const authority = await createAuthority('test', { nowMs: Date.now() });
  await mkdir(join(dataDir, 'pki'));
  await writeFile(join(dataDir, 'pki', 'ca.crt'), authority.certificate);
  await writeFile(join(elsewhere, 'precious'), 'data');
  const volume = join(dataDir, 'pods', 'uid', 'volumes', 'shared');
  await mkdir(volume, { recursive: true });
  execFileSync('mount', ['--bind', elsewhere, volume]);
  await removeNodeRemains({ name: 'n', dataDir, runtime: 'fake', env: {} });
  t.deepEqual(await readdir(join(dataDir, 'pods')), []);
  t.is(await readFile(join(elsewhere, 'precious'), 'utf8'), 'data');
});
