/** Secrets and tokens lie in memory, from the first byte to the pod's end, whichever agent lives then. */
import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { RestClient } from '../../control/client/rest.ts';
import { ManualClock } from '../../control/client/testing/manual-clock.ts';
import { MemoryApi } from '../../control/client/testing/memory-api.ts';
import { configmaps, type Pod, secrets, type Volume } from '../api.ts';
import { quiet } from '../testing/world.ts';
import { holdsSecrets } from './content.ts';
import { LocalFolder } from './local-folder.ts';
import { VolumeManager } from './manager.ts';
import { isSeenByOthers, mountsBelow, unmount } from './mounts.ts';
import { Sources } from './sources.ts';

const CACHE_MS = 60_000;
const isRoot = process.getuid?.() === 0;
const asRoot = (title: string, body: (t: ExecutionContext) => Promise<void>) =>
  isRoot ? test(title, body) : test.skip(`${title} (needs root)`, body);

async function setUp(t: ExecutionContext, canMount: boolean) {
  const dataDir = await mkdtemp(join(tmpdir(), 'raftsman-memory-'));
  t.teardown(async () => {
    for (const point of await mountsBelow(dataDir)) await unmount(point);
    await rm(dataDir, { recursive: true, force: true });
  });
  const clock = new ManualClock();
  const client = new RestClient({ transport: new MemoryApi(clock), clock, userAgent: 'test' });
  const warnings: string[] = [];
  const logger = { ...quiet, warn: (_details: object, message: string) => warnings.push(message) };
  /** As an agent that starts makes it: nothing is known of those before. */
  const newAgent = () => {
    const sources = new Sources({ client, clock });
    const localFolder = new LocalFolder(join(dataDir, 'storage'), 'node-1');
    return new VolumeManager({ dataDir, client, sources, localFolder, clock, logger, canMount });
  };
  await client.create(secrets, { metadata: { name: 'login', namespace: 'ns' }, data: { password: 'c2VzYW1l' } });
  await client.create(configmaps, { metadata: { name: 'settings', namespace: 'ns' }, data: { color: 'blue' } });
  const pod: Pod = {
    metadata: { name: 'web', namespace: 'ns', uid: 'u1' },
    spec: {
      containers: [{ name: 'app' }],
      volumes: [
        { name: 'login', secret: { secretName: 'login' } },
        { name: 'settings', configMap: { name: 'settings' } },
      ],
    },
  };
  const facts = {
    podIP: '',
    hostIP: '',
    hostIPs: [],
    nodeName: 'n',
    allocatable: { cpuMilli: 1, memoryBytes: 1, storageBytes: 64 * 2 ** 30 },
  };
  const folder = join(dataDir, 'pods', 'u1', 'volumes');
  const readSecret = () => readFile(join(folder, 'login', 'password'), 'utf8');
  return { dataDir, clock, client, warnings, newAgent, pod, context: { pod, ...facts }, folder, readSecret };
}

const kinds: readonly (readonly [string, Omit<Volume, 'name'>, boolean])[] = [
  ['a Secret', { secret: { secretName: 's' } }, true],
  ['a token', { projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } }, true],
  [
    'a Secret among others',
    { projected: { sources: [{ configMap: { name: 'c' } }, { secret: { name: 's' } }] } },
    true,
  ],
  ['a ConfigMap', { configMap: { name: 'c' } }, false],
  ['downward API', { downwardAPI: { items: [] } }, false],
  ['an emptyDir', { emptyDir: {} }, false],
];
for (const [name, volume, isSecret] of kinds)
  test(`in memory or not: ${name}`, t => {
    t.is(holdsSecrets({ name: 'v', ...volume }), isSecret);
  });

asRoot('a Secret is mounted from memory, is brought up to date there, and goes with the pod', async t => {
  const { clock, client, warnings, newAgent, pod, context, folder, readSecret, dataDir } = await setUp(t, true);
  await newAgent().mount(pod, context);
  t.deepEqual(await mountsBelow(dataDir), [join(folder, 'login')]);
  t.is(await readSecret(), 'sesame');
  t.is((await stat(join(folder, 'login'))).mode & 0o7777, 0o755);
  // The agent was killed; another one goes on with what it finds.
  const next = newAgent();
  await next.mount(pod, context);
  await client.update(secrets, { metadata: { name: 'login', namespace: 'ns' }, data: { password: 'bmV3' } });
  await clock.advance(CACHE_MS);
  t.deepEqual(await next.refresh(pod, context), ['login']);
  t.is(await readSecret(), 'new');
  t.deepEqual(await mountsBelow(dataDir), [join(folder, 'login')]);
  await newAgent().unmount('u1');
  t.deepEqual(await mountsBelow(dataDir), []);
  await t.throwsAsync(access(folder), { code: 'ENOENT' });
  t.deepEqual(warnings, []);
});

asRoot('after a start of the machine the Secret comes into memory again', async t => {
  const { newAgent, pod, context, folder, readSecret, dataDir } = await setUp(t, true);
  await newAgent().mount(pod, context);
  await unmount(join(folder, 'login'));
  await newAgent().mount(pod, context);
  t.deepEqual(await mountsBelow(dataDir), [join(folder, 'login')]);
  t.is(await readSecret(), 'sesame');
});

asRoot('a volume that an agent of old made on the disk stays there: containers have it', async t => {
  const { newAgent, pod, context, folder, dataDir } = await setUp(t, true);
  await mkdir(join(folder, 'login'), { recursive: true });
  await writeFile(join(folder, 'login', 'password'), 'of old');
  await newAgent().mount(pod, context);
  t.deepEqual(await mountsBelow(dataDir), []);
});

test('who cannot mount is warned, once', async t => {
  const { warnings, newAgent, pod, context, readSecret, dataDir } = await setUp(t, false);
  const agent = newAgent();
  await agent.mount(pod, context);
  await agent.unmount('u1');
  await agent.mount(pod, context);
  t.is(await readSecret(), 'sesame');
  t.deepEqual(await mountsBelow(dataDir), []);
  t.deepEqual(warnings, ['Secrets and tokens of pods lie on the disk of this node']);
});

asRoot('mounts in a namespace of one’s own are seen by nobody else', async t => {
  t.true(await isSeenByOthers(tmpdir()));
  const module = new URL('mounts.ts', import.meta.url).href;
  const script = `import { isSeenByOthers } from '${module}'; console.log(await isSeenByOthers('${tmpdir()}'))`;
  const node = [process.execPath, '--input-type=module', '-e', script];
  const { stdout } = await promisify(execFile)('unshare', ['--mount', '--propagation', 'private', ...node]);
  t.is(stdout, 'false\n');
});
