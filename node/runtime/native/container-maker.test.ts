import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { Cgroups } from './cgroups.ts';
import { removeHalfMade } from './container-maker.ts';
import { type ContainerRecord, Layout, newId, type SandboxRecord } from './layout.ts';

const exists = (file: string) =>
  stat(file).then(
    () => true,
    () => false,
  );

test('what a killed agent had half made goes with its control groups; what is whole or spoilt stays', async t => {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'raftsman-half-made-'));
  t.teardown(() => rm(dataDir, { recursive: true }));
  const layout = new Layout(dataDir);
  await layout.prepare();
  const cgroups = await Cgroups.detect();
  const [half, whole, spoilt] = [newId(), newId(), newId()] as const;
  for (const id of [half, whole, spoilt]) await mkdir(layout.containerDir(id));
  const files = await cgroups.create(half, {});
  t.teardown(() => cgroups.remove(half));
  await writeFile(layout.programFile(half), '');
  await writeFile(path.join(layout.containerDir(spoilt), 'container.json'), '{');
  await layout.writeContainer(containerOf(whole));
  const [begun, made] = [newId(), newId()] as const;
  for (const id of [begun, made]) await mkdir(layout.sandboxDir(id));
  await layout.writeSandbox(sandboxOf(made));
  await removeHalfMade({ layout, cgroups });
  t.deepEqual((await layout.containerIds()).sort(), [whole, spoilt].sort());
  t.deepEqual(await layout.sandboxIds(), [made]);
  for (const file of files) t.false(await exists(path.dirname(file)), file);
  await t.notThrowsAsync(removeHalfMade({ layout, cgroups }));
});

// As much of a record as is read back.
const containerOf = (id: string) => ({ id }) as ContainerRecord;
const sandboxOf = (id: string) => ({ id }) as SandboxRecord;
