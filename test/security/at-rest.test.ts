/** What lies on the masters' disks: a known value is looked for in every file, byte by byte. */
import { randomBytes } from 'node:crypto';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { connectApi } from '../helpers/api.ts';
import { newCluster, type TestCluster } from '../helpers/cluster.ts';
import { until } from '../helpers/run.ts';

const SECRETS = '/api/v1/namespaces/default/secrets';

/** The files below `directory` that hold the text. Random text stays as it is where files are compressed. */
async function filesWith(directory: string, text: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const content = await readFile(path).catch(() => Buffer.alloc(0));
    if (content.includes(text)) found.push(path.slice(directory.length + 1));
  }
  return found;
}

async function must(cluster: TestCluster, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await cluster.raftsman(args);
  if (code !== 0) throw new Error(`${args.join(' ')}: ${stderr}`);
  return stdout;
}

test('Secrets lie sealed in logs, states and snapshots; keys rotate under writes and kills; a restore asks for the keys', async t => {
  t.timeout(240_000);
  const cluster = await newCluster({ masters: 3, nodes: 0, args: ['--restart-delay', '1'] });
  t.teardown(() => cluster.remove());
  await cluster.start();
  const api = await connectApi(cluster.kubeconfig, cluster.port);
  t.teardown(() => api.close());

  const value = randomBytes(24).toString('hex');
  const marker = `marker-${randomBytes(16).toString('hex')}`;
  const create = (name: string) =>
    api.call('POST', SECRETS, {
      kind: 'Secret',
      apiVersion: 'v1',
      metadata: { name, annotations: { marker } },
      stringData: { password: value },
    });
  t.is((await create('known')).status, 201);
  const open = `open-${randomBytes(16).toString('hex')}`;
  const config = { kind: 'ConfigMap', apiVersion: 'v1', metadata: { name: 'open' }, data: { open } };
  t.is((await api.call('POST', '/api/v1/namespaces/default/configmaps', config)).status, 201);
  const snapshot = join(cluster.directory, 'cluster.snap');
  const saved = await cluster.raftsman(['snapshot', 'save', snapshot]);
  t.regex(saved.stderr, /cluster\.snap\.keys: without it nobody reads the Secrets/);

  const masters = ['master-1', 'master-2', 'master-3'].map(name => join(cluster.directory, name));
  for (const directory of masters) {
    t.true((await filesWith(directory, open)).length > 0, 'what is not encrypted is found');
    t.deepEqual(await filesWith(directory, marker), []);
    t.deepEqual(await filesWith(directory, Buffer.from(value).toString('base64')), []);
    t.deepEqual(await filesWith(directory, value), []);
  }
  const files = await filesWith(cluster.directory, open);
  t.true(files.includes('cluster.snap'));
  t.deepEqual(await filesWith(cluster.directory, marker), []);
  const key = (JSON.parse(await readFile(`${snapshot}.keys`, 'utf8')) as { keys: { secret: string }[] }).keys[0];
  t.false((await readFile(snapshot)).includes(key?.secret ?? '?'));

  // A new key while Secrets are written and a master dies in the middle of it.
  let count = 0;
  let isWriting = true;
  const writing = (async () => {
    while (isWriting) {
      const answer = await create(`more-${count}`).catch(() => undefined);
      if (answer?.status === 201) count++;
    }
  })();
  await until('some Secrets', async () => count > 5);
  const rotation = cluster.raftsman(['secrets', 'rotate-keys']);
  process.kill(await cluster.pidOf('master-2'), 'SIGKILL');
  await rotation;
  await until('all masters', async () => (await cluster.raftsman(['secrets', 'rotate-keys'])).code === 0, 60_000);
  isWriting = false;
  await writing;
  const status = JSON.parse(await must(cluster, ['secrets', 'status', '-o', 'json'])) as {
    stale: number;
    writes: string;
    keys: { id: string; state: string }[];
    values: Record<string, number>;
    masters: { name: string; writes: string }[];
  };
  t.is(status.stale, 0);
  t.true(status.keys.length >= 2);
  t.deepEqual(Object.keys(status.values), [status.writes]);
  t.deepEqual(
    status.masters.map(({ writes }) => writes),
    [status.writes, status.writes, status.writes],
  );
  // Each master by itself reads all that any of them has written.
  for (const number of [1, 2, 3]) {
    const own = await connectApi(cluster.kubeconfig, cluster.port + number);
    const { items } = (await own.call('GET', SECRETS)).body as { items: unknown[] };
    t.true(items.length > count, `master-${number}`);
    own.close();
  }
  const listed = (await api.call('GET', SECRETS)).body as { items: { data?: { password?: string } }[] };
  const whole = listed.items.filter(({ data }) => data?.password === Buffer.from(value).toString('base64'));
  t.true(whole.length > count);

  // Without the keys a restore changes nothing; with them it is the whole cluster again.
  await api.close();
  await cluster.stop();
  const keys = await readFile(`${snapshot}.keys`);
  await rm(`${snapshot}.keys`);
  const target = join(cluster.directory, 'restored');
  const refused = await cluster.raftsman(['snapshot', 'restore', snapshot, '--data-dir', target]);
  t.not(refused.code, 0);
  t.regex(refused.stderr, /the Secrets in .* are encrypted, and the key [0-9a-f]{12} is neither in/);
  t.deepEqual(await readdir(target).catch(() => []), []);
  const elsewhere = join(cluster.directory, 'elsewhere.keys');
  await writeFile(elsewhere, keys, { mode: 0o600 });
  await must(cluster, ['snapshot', 'restore', snapshot, '--data-dir', target, '--encryption-keys', elsewhere]);
  t.true((await readdir(target)).includes('encryption-keys.json'));
});
