/** Records of the native runtime on disk. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { Layout, newId, type SandboxRecord } from './layout.ts';

const made: string[] = [];
test.after.always(async () => {
  for (const directory of made) await rm(directory, { recursive: true, force: true });
});

async function newLayout(): Promise<Layout> {
  const directory = await mkdtemp(path.join(tmpdir(), 'raftsman-layout-'));
  made.push(directory);
  const layout = new Layout(directory);
  await layout.prepare();
  return layout;
}

const sandbox = (id: string): SandboxRecord => ({
  id,
  pod: { uid: 'u', namespace: 'n', name: 'p' },
  attempt: 0,
  createdAt: 1,
  hostPid: false,
  hostIpc: false,
  shareProcessNamespace: false,
  holder: { pid: 1, startTicks: '1' },
});

test('a record is read from the disk once', async t => {
  const layout = await newLayout();
  const id = newId();
  t.is(await layout.readSandbox(id), undefined, 'that there is none is not remembered');
  await layout.writeSandbox(sandbox(id));
  t.deepEqual(await layout.readSandbox(id), sandbox(id));
  await writeFile(path.join(layout.sandboxDir(id), 'sandbox.json'), 'no record');
  t.deepEqual(await layout.readSandbox(id), sandbox(id));
  await t.throwsAsync(new Layout(path.dirname(layout.root)).readSandbox(id), { message: /cannot be read/ });
});

test('a record is forgotten with its directory, whoever removes it', async t => {
  const layout = await newLayout();
  const [own, others, kept] = [newId(), newId(), newId()];
  for (const id of [own, others, kept]) {
    await layout.writeSandbox(sandbox(id));
    await layout.readSandbox(id);
  }
  await layout.remove(layout.sandboxDir(own));
  t.is(await layout.readSandbox(own), undefined);
  await rm(layout.sandboxDir(others), { recursive: true });
  t.deepEqual(await layout.sandboxIds(), [kept]);
  t.is(await layout.readSandbox(others), undefined);
  await layout.containerIds();
  await writeFile(path.join(layout.sandboxDir(kept), 'sandbox.json'), 'no record');
  t.deepEqual(await layout.readSandbox(kept), sandbox(kept), 'a list of containers says nothing of sandboxes');
});
