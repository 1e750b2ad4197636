/**
 * Pods see their volumes as the API describes them, in real containers: what the conformance tests of [sig-storage] ask of a
 * node, on the native runtime and on Docker where an engine answers.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { RestClient } from '../../control/client/rest.ts';
import { systemClock } from '../../control/client/system-clock.ts';
import { MemoryApi } from '../../control/client/testing/memory-api.ts';
import { until } from '../../control/client/testing/until.ts';
import { type Agent, createAgent } from '../agent.ts';
import {
  type Container,
  configmaps,
  nodes,
  type Pod,
  persistentvolumeclaims,
  persistentvolumes,
  pods,
  secrets,
  type Volume,
} from '../api.ts';
import { createDockerRuntime } from '../runtime/docker/docker.ts';
import { connectEngine, defaultDockerHost } from '../runtime/docker/engine.ts';
import { createNativeRuntime } from '../runtime/native/native.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { busybox, importBusybox } from '../testing/busybox-image.ts';
import { makeTestTls } from '../testing/tls.ts';
import { quiet, TestNetwork } from '../testing/world.ts';
import { mountsBelow } from './mounts.ts';

const dockerHost = process.env.DOCKER_HOST ?? defaultDockerHost;
const DOCKER_IMAGE = 'raftsman-test/volumes:1';
/** What the agent brings up to date in a volume is seen after this at the latest; sources are cached for ten seconds. */
const UPDATE_MS_MAX = 90_000;
/** How long anything else may take on a machine that has other work. */
const WAIT_MS_MAX = 90_000;
/** Pods at once. */
const PODS_AT_ONCE = 4;

interface Target {
  readonly name: string;
  readonly image: string;
  readonly lacks: string | undefined;
  make(dataDir: string): Runtime;
}

const isRoot = process.getuid?.() === 0;

async function whyNoDocker(): Promise<string | undefined> {
  if (!isRoot) return 'root';
  if (!existsSync(busybox)) return 'busybox-static';
  try {
    const { docker } = await connectEngine(dockerHost);
    await importBusybox(docker, DOCKER_IMAGE);
    return undefined;
  } catch {
    return 'a Docker engine';
  }
}

const TARGETS: readonly Target[] = [
  {
    name: 'native',
    image: 'host',
    lacks: isRoot ? undefined : 'root',
    make: dataDir => createNativeRuntime({ dataDir: join(dataDir, 'native') }),
  },
  {
    name: 'docker',
    image: DOCKER_IMAGE,
    lacks: await whyNoDocker(),
    make: dataDir => createDockerRuntime({ clusterId: 'volumes', nodeName: dataDir.replaceAll('/', '-'), dockerHost }),
  },
];

/** An agent on a real runtime with an API in memory. */
class Bench {
  readonly dataDir: string;
  readonly client: RestClient;
  readonly image: string;
  readonly #target: Target;
  runtime: Runtime;
  #agent: Agent | undefined;

  constructor(dataDir: string, target: Target) {
    this.dataDir = dataDir;
    this.image = target.image;
    this.#target = target;
    this.runtime = target.make(dataDir);
    this.client = new RestClient({ transport: new MemoryApi(systemClock), clock: systemClock, userAgent: 'test' });
  }

  async start(): Promise<void> {
    const agent = createAgent({
      name: 'node-1',
      client: this.client,
      runtime: this.runtime,
      network: new TestNetwork(),
      dataDir: this.dataDir,
      clock: systemClock,
      random: () => 0.5,
      logger: quiet,
      tls: makeTestTls().server,
      listen: { host: '127.0.0.1', port: 0 },
      addresses: ['192.0.2.1'],
      version: 'v1.33.1+raftsman',
      clusterCIDR: '10.42.0.0/16',
      serviceCIDR: '10.43.0.0/16',
      resolvConf: 'nameserver 192.0.2.53\n',
      canMount: true,
      timing: { volumeRefreshMs: 300 },
    });
    this.#agent = agent;
    await agent.start();
    await until('the node is registered', async () => (await this.client.list(nodes)).items.length > 0);
    const node = await this.client.get(nodes, { name: 'node-1' });
    if (!node.spec?.podCIDR) {
      const patch = { type: 'application/merge-patch+json' as const, body: { spec: { podCIDR: '10.42.0.0/24' } } };
      await this.client.patch(nodes, { name: 'node-1' }, patch);
    }
    await agent.ready;
  }

  /** Another agent takes over; pods go on meanwhile. */
  async restart(): Promise<void> {
    await this.#agent?.close();
    this.runtime = this.#target.make(this.dataDir);
    await this.start();
  }

  async close(): Promise<void> {
    await this.#agent?.drainAndRemove();
  }

  /** A pod whose container runs the script; everything else as given. */
  async create(name: string, script: string, { container = {}, ...spec }: PodOptions = {}): Promise<Pod> {
    return this.client.create(pods, {
      metadata: { name, namespace: 'ns', labels: { app: 'web' }, annotations: { note: 'first' } },
      spec: {
        nodeName: 'node-1',
        restartPolicy: 'Never',
        terminationGracePeriodSeconds: 0,
        containers: [this.container('app', script, container)],
        ...spec,
      },
    });
  }

  container(name: string, script: string, more: Partial<Container> = {}): Container {
    return { name, image: this.image, imagePullPolicy: 'IfNotPresent', command: ['sh', '-c', script], ...more };
  }

  pod(name: string): Promise<Pod> {
    return this.client.get(pods, { namespace: 'ns', name });
  }

  async untilPod(name: string, what: string, isTrue: (pod: Pod) => boolean, timeoutMs = WAIT_MS_MAX): Promise<Pod> {
    let seen: Pod | undefined;
    try {
      await until(
        `${name}: ${what}`,
        async () => {
          seen = await this.pod(name);
          return isTrue(seen);
        },
        timeoutMs,
      );
    } catch (error) {
      throw new Error(`${String(error)}: ${JSON.stringify(seen?.status)} ${await this.log(name)}`);
    }
    return seen ?? {};
  }

  /** Runs a pod to its end and gives what it printed. */
  async run(name: string, script: string, options: PodOptions = {}): Promise<string> {
    await this.create(name, script, options);
    const { status } = await this.untilPod(name, 'over', pod => /Succeeded|Failed/.test(pod.status?.phase ?? ''));
    const text = await this.log(name);
    if (status?.phase !== 'Succeeded') throw new Error(`${name} failed: ${text} ${JSON.stringify(status)}`);
    await this.remove(name);
    return text;
  }

  async log(name: string, container = 'app'): Promise<string> {
    const { uid } = (await this.pod(name)).metadata ?? {};
    const sandbox = (await this.runtime.list()).find(({ pod }) => pod.uid === uid);
    const newest = sandbox?.containers
      .filter(each => each.name === container)
      .toSorted((a, b) => b.attempt - a.attempt)[0];
    if (!newest) return '';
    const chunks: Uint8Array[] = [];
    const { signal } = new AbortController();
    for await (const chunk of this.runtime.logs(newest.id, { follow: false, timestamps: false, signal }))
      chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  }

  async remove(name: string): Promise<void> {
    const { uid = '' } = (await this.pod(name)).metadata ?? {};
    await this.client.delete(pods, { namespace: 'ns', name });
    await until(`${name} leaves nothing`, () => !existsSync(join(this.dataDir, 'pods', uid)), WAIT_MS_MAX);
  }
}

type PodOptions = Partial<NonNullable<Pod['spec']>> & { readonly container?: Partial<Container> };

const at = (mountPath: string, name = 'v', more: object = {}) => ({ name, mountPath, ...more });
const one = (volume: Omit<Volume, 'name'>, mount: object = {}): PodOptions => ({
  volumes: [{ name: 'v', ...volume }],
  container: { volumeMounts: [at('/v', 'v', mount)] },
});
/** Mode, owner, group and file system, in words that GNU and busybox agree on. */
const see = (path: string) => `stat -L -c '%a %u %g' ${path}`;
const fileSystem = (path: string) => `awk '$2=="${path}"{print $3}' /proc/mounts | tail -1`;
const lines = (...text: (string | number)[]) => `${text.join('\n')}\n`;

async function emptyDirs(t: ExecutionContext, bench: Bench): Promise<void> {
  t.is(await bench.run('mode-default', see('/v'), one({ emptyDir: {} })), '777 0 0\n');
  t.is(
    await bench.run('mode-tmpfs', `${see('/v')}; ${fileSystem('/v')}`, one({ emptyDir: { medium: 'Memory' } })),
    '777 0 0\ntmpfs\n',
  );
  for (const medium of ['', 'Memory']) {
    for (const user of [0, 1001]) {
      const modes = ['644', '666', '777'];
      const script = modes
        .map(
          mode => `umask 0; echo ${mode} >/v/${mode}; chmod ${mode} /v/${mode}; ${see(`/v/${mode}`)}; cat /v/${mode}`,
        )
        .join('; ');
      const { container, ...spec } = one({ emptyDir: { medium } });
      const printed = await bench.run(`files-${medium.toLowerCase()}-${user}`, script, {
        ...spec,
        securityContext: { runAsUser: user, runAsGroup: user },
        ...(container && { container }),
      });
      t.is(printed, lines(...modes.flatMap(mode => [`${mode} ${user} ${user}`, mode])), `${medium} ${user}`);
    }
  }
  t.is(
    await bench.run('group', 'echo x >/v/f; stat -c %g /v/f; stat -c %a /v', {
      ...one({ emptyDir: {} }),
      securityContext: { runAsUser: 1000, fsGroup: 2000 },
    }),
    '2000\n2777\n',
  );
  t.is(
    await bench
      .run(
        'limited',
        'head -c 2000000 /dev/zero 2>/dev/null >/v/f || echo full',
        one({ emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } }),
      )
      .then(text => text.trim().split('\n').at(-1)),
    'full',
  );
  const volumes = [{ name: 'v', emptyDir: {} }];
  const volumeMounts = [at('/v')];
  await bench.create('shared', '', {
    volumes,
    containers: [
      bench.container('app', 'until [ -s /v/f ]; do sleep 0.1; done; cat /v/f', { volumeMounts }),
      bench.container('sub', 'sleep 0.5; echo shared >/v/f', { volumeMounts }),
    ],
  });
  await bench.untilPod('shared', 'over', ({ status }) => status?.phase === 'Succeeded');
  t.is(await bench.log('shared'), 'shared\n');
  await bench.remove('shared');
}

async function projections(t: ExecutionContext, bench: Bench): Promise<void> {
  const { client } = bench;
  await client.create(configmaps, {
    metadata: { name: 'settings', namespace: 'ns' },
    data: { color: 'blue', size: 'xl' },
    binaryData: { raw: '3q2+7w==' },
  });
  await client.create(secrets, { metadata: { name: 'login', namespace: 'ns' }, data: { password: 'c2VzYW1l' } });
  await client.create(secrets, { metadata: { name: 'login', namespace: 'other' }, data: { password: 'd3Jvbmc=' } });
  const items = [{ key: 'color', path: 'path/to/color', mode: 0o400 }];
  const configMap = { name: 'settings' };
  const user = { securityContext: { runAsUser: 1000 } };
  const rows: [string, string, PodOptions, string][] = [
    ['config', `${see('/v/color')}; cat /v/color`, one({ configMap }), '644 0 0\nblue'],
    ['config-user', 'cat /v/color', { ...one({ configMap }), ...user }, 'blue'],
    ['config-mode', see('/v/color'), one({ configMap: { ...configMap, defaultMode: 0o400 } }), '400 0 0\n'],
    [
      'config-items',
      `${see('/v/path/to/color')}; cat /v/path/to/color; ls /v`,
      one({ configMap: { ...configMap, items } }),
      '400 0 0\nbluepath\n',
    ],
    ['config-binary', 'od -An -tx1 /v/raw', one({ configMap }), ' de ad be ef\n'],
    ['config-read-only', 'touch /v/x 2>/dev/null || echo refused', one({ configMap }), 'refused\n'],
    ['config-optional', 'ls /v | wc -l', one({ configMap: { name: 'none', optional: true } }), '0\n'],
    ['secret', `${see('/v/password')}; cat /v/password`, one({ secret: { secretName: 'login' } }), '644 0 0\nsesame'],
    ['secret-in-memory', fileSystem('/v'), one({ secret: { secretName: 'login' } }), 'tmpfs\n'],
    [
      'secret-group',
      `${see('/v/password')}; cat /v/password`,
      {
        ...one({ secret: { secretName: 'login', defaultMode: 0o440 } }),
        securityContext: { runAsUser: 1000, fsGroup: 1001 },
      },
      '440 0 1001\nsesame',
    ],
    [
      'all-in-one',
      'cd /v; cat color; echo; cat password; echo; cat name; echo; cat labels; echo; cat memory; echo; cat cpu',
      {
        ...one({
          projected: {
            sources: [
              { configMap },
              { secret: { name: 'login' } },
              {
                downwardAPI: {
                  items: [
                    { path: 'name', fieldRef: { fieldPath: 'metadata.name' } },
                    { path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } },
                    {
                      path: 'memory',
                      resourceFieldRef: { containerName: 'app', resource: 'limits.memory', divisor: '1Mi' },
                    },
                    {
                      path: 'cpu',
                      resourceFieldRef: { containerName: 'app', resource: 'requests.cpu', divisor: '1m' },
                    },
                  ],
                },
              },
            ],
          },
        }),
        container: {
          volumeMounts: [at('/v')],
          resources: { limits: { memory: '64Mi' }, requests: { cpu: '250m' } },
        },
      },
      'blue\nsesame\nall-in-one\napp="web"\n64\n250',
    ],
    [
      'twice',
      'cat /a/color /b/color',
      {
        volumes: [
          { name: 'a', configMap },
          { name: 'b', configMap },
        ],
        container: { volumeMounts: [at('/a', 'a'), at('/b', 'b')] },
      },
      'blueblue',
    ],
    ['sub-file', 'cat /v', one({ configMap }, { subPath: 'color' }), 'blue'],
    [
      'sub-over-file',
      'cat /etc/hostname',
      {
        volumes: [{ name: 'v', configMap }],
        container: { volumeMounts: [at('/etc/hostname', 'v', { subPath: 'size' })] },
      },
      'xl',
    ],
    ['sub-secret', 'cat /v', one({ secret: { secretName: 'login' } }, { subPath: 'password' }), 'sesame'],
    [
      'sub-down',
      'cat /v',
      one(
        { downwardAPI: { items: [{ path: 'd/name', fieldRef: { fieldPath: 'metadata.name' } }] } },
        { subPath: 'd/name' },
      ),
      'sub-down',
    ],
    [
      'sub-empty',
      `echo x >/v/f; ${see('/v')}; ls /w/a`,
      {
        volumes: [{ name: 'v', emptyDir: {} }],
        ...user,
        container: { volumeMounts: [at('/v', 'v', { subPath: 'a/b' }), at('/w')] },
      },
      '777 0 0\nb\n',
    ],
  ];
  for (let start = 0; start < rows.length; start += PODS_AT_ONCE) {
    const some = rows.slice(start, start + PODS_AT_ONCE);
    const printed = await Promise.all(some.map(([name, script, options]) => bench.run(name, script, options)));
    for (const [index, [name, , , wanted]] of some.entries()) t.is(printed[index], wanted, name);
  }

  const many = Array.from({ length: 30 }, (_, index) => `v${index}`);
  t.is(
    await bench.run('wrapper', 'cat /many/*/color', {
      volumes: many.map(name => ({ name, configMap })),
      container: { volumeMounts: many.map(name => at(`/many/${name}`, name)) },
    }),
    'blue'.repeat(30),
  );
}

async function updates(t: ExecutionContext, bench: Bench): Promise<void> {
  const { client } = bench;
  const put = (name: string, data: Record<string, string>) =>
    client.create(configmaps, { metadata: { name, namespace: 'ns' }, data });
  await put('changes', { key: 'one' });
  await put('goes', { key: 'one' });
  const optional = (name: string) => ({ name, configMap: { name, optional: true } });
  const names = ['changes', 'goes', 'comes'];
  const script =
    'while :; do for v in changes goes comes; do [ -e /$v/key ] && cat /$v/key || echo -n none; echo -n " "; done; cat /down/labels; echo; sleep 0.2; done';
  await bench.create('watcher', script, {
    volumes: [
      ...names.map(optional),
      { name: 'down', downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } },
    ],
    container: { volumeMounts: [...names, 'down'].map(name => at(`/${name}`, name)) },
  });
  const last = async () => (await bench.log('watcher')).trim().split('\n').at(-1);
  await until('it starts', async () => (await last()) === 'one one none app="web"', WAIT_MS_MAX);
  await client.update(configmaps, { metadata: { name: 'changes', namespace: 'ns' }, data: { key: 'two' } });
  await client.delete(configmaps, { namespace: 'ns', name: 'goes' });
  await put('comes', { key: 'new' });
  const merge = 'application/merge-patch+json' as const;
  const body = { metadata: { labels: { app: 'api' } } };
  await client.patch(pods, { namespace: 'ns', name: 'watcher' }, { type: merge, body });
  await until('all is seen', async () => (await last()) === 'two none new app="api"', UPDATE_MS_MAX);
  t.pass();
  await bench.remove('watcher');
}

async function subPathExpressions(t: ExecutionContext, bench: Bench): Promise<void> {
  const env = [
    { name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
    { name: 'NOTE', valueFrom: { fieldRef: { fieldPath: "metadata.annotations['note']" } } },
    { name: 'BAD', value: '/tmp' },
    { name: 'UP', value: '..' },
  ];
  const emptyDir = [{ name: 'v', emptyDir: {} }];
  t.is(
    await bench.run('expanded', 'echo x >/v/f; ls /w/sub', {
      volumes: emptyDir,
      container: { env, volumeMounts: [at('/v', 'v', { subPathExpr: 'sub/$(POD)' }), at('/w')] },
    }),
    'expanded\n',
  );
  for (const [name, subPathExpr, message] of [
    ['absolute', '$(BAD)', 'error SubPath `/tmp` must not be an absolute path'],
    ['upwards', '$(UP)', "unable to provision SubPath `..`: must not contain '..'"],
  ] as const) {
    await bench.create(name, 'true', {
      volumes: emptyDir,
      container: { env, volumeMounts: [at('/v', 'v', { subPathExpr })] },
    });
    const failed = await bench.untilPod(
      name,
      'refused',
      ({ status }) => status?.containerStatuses?.[0]?.state?.waiting?.reason === 'CreateContainerConfigError',
    );
    t.is(failed.status?.containerStatuses?.[0]?.state?.waiting?.message, message);
    await bench.remove(name);
  }
  // What fails may be mended while the pod waits.
  const note = async (text: string) => {
    const body = { metadata: { annotations: { note: text } } };
    const patch = { type: 'application/merge-patch+json' as const, body };
    await bench.client.patch(pods, { namespace: 'ns', name: 'mended' }, patch);
  };
  await bench.create('mended', 'echo here', {
    volumes: emptyDir,
    container: {
      env: [{ name: 'NOTE', valueFrom: { fieldRef: { fieldPath: "metadata.annotations['path']" } } }],
      volumeMounts: [at('/v', 'v', { subPathExpr: '$(NOTE)/x' })],
    },
  });
  await bench.untilPod(
    'mended',
    'refused',
    ({ status }) => status?.containerStatuses?.[0]?.state?.waiting?.reason === 'CreateContainerConfigError',
  );
  await note('unused');
  const body = { metadata: { annotations: { path: 'fine' } } };
  await bench.client.patch(pods, { namespace: 'ns', name: 'mended' }, { type: 'application/merge-patch+json', body });
  await bench.untilPod('mended', 'over', ({ status }) => status?.phase === 'Succeeded');
  await bench.remove('mended');
}

async function restarts(t: ExecutionContext, bench: Bench): Promise<void> {
  const { client } = bench;
  await client.create(configmaps, { metadata: { name: 'plan', namespace: 'ns' }, data: { key: 'one' } });
  const script =
    'cat /f; n=$(cat /w/count 2>/dev/null || echo 0); n=$((n+1)); echo $n >/w/count; [ $n -gt 1 ] || { until [ -e /w/go ]; do sleep 0.1; done; exit 1; }';
  const created = await bench.create('again', script, {
    restartPolicy: 'OnFailure',
    volumes: [
      { name: 'v', configMap: { name: 'plan' } },
      { name: 'w', emptyDir: {} },
    ],
    container: { volumeMounts: [at('/f', 'v', { subPath: 'key' }), at('/w', 'w', { subPath: 'deep/er' })] },
  });
  const volumes = join(bench.dataDir, 'pods', created.metadata?.uid ?? '', 'volumes');
  const deep = join(volumes, 'w/deep/er');
  await until('it runs', () => existsSync(join(deep, 'count')), WAIT_MS_MAX);
  await client.update(configmaps, { metadata: { name: 'plan', namespace: 'ns' }, data: { key: 'two' } });
  await until(
    'the volume is new',
    async () => (await readFile(join(volumes, 'v/key'), 'utf8')) === 'two',
    UPDATE_MS_MAX,
  );
  await writeFile(join(deep, 'go'), '');
  await bench.untilPod('again', 'over', ({ status }) => status?.phase === 'Succeeded', UPDATE_MS_MAX);
  t.is(await bench.log('again'), 'two', 'a part of a volume is looked up anew for each container');
  await bench.remove('again');
}

async function persistent(t: ExecutionContext, bench: Bench): Promise<void> {
  const { client, dataDir } = bench;
  const claim = await client.create(persistentvolumeclaims, {
    metadata: { name: 'data', namespace: 'ns' },
    spec: { volumeName: 'pv' },
    status: { phase: 'Bound' },
  });
  await client.create(persistentvolumes, {
    metadata: {
      name: 'pv',
      annotations: { 'pv.kubernetes.io/provisioned-by': 'raftsman.io/local-path', 'raftsman.io/node': 'node-1' },
    },
    spec: {
      local: { path: join(dataDir, 'storage/pv_ns_data') },
      claimRef: { namespace: 'ns', name: 'data', uid: claim.metadata?.uid ?? '' },
    },
    status: { phase: 'Bound' },
  });
  const options = one({ persistentVolumeClaim: { claimName: 'data' } });
  const user = { securityContext: { runAsUser: 1000 } };
  t.is(await bench.run('writer', 'echo kept >/v/f; ls -d /v', { ...options, ...user }), '/v\n');
  t.is(await bench.run('reader', 'cat /v/f', options), 'kept\n');
  t.is(
    await bench.run(
      'refused',
      'touch /v/x 2>/dev/null || echo refused',
      one({ persistentVolumeClaim: { claimName: 'data', readOnly: true } }),
    ),
    'refused\n',
  );
  const parts = one({ persistentVolumeClaim: { claimName: 'data' } }, { subPath: 'part' });
  t.is(await bench.run('part', 'echo x >/v/g; ls /v', parts), 'g\n');
  t.is(await readFile(join(dataDir, 'storage/pv_ns_data/part/g'), 'utf8'), 'x\n', 'removing the pod removes no data');
  await mkdir(join(dataDir, 'host'));
  await writeFile(join(dataDir, 'host/file'), 'of the host');
  t.is(
    await bench.run('host', 'cat /v', one({ hostPath: { path: join(dataDir, 'host/file'), type: 'File' } })),
    'of the host',
  );
}

/** A new agent goes on with the volumes of the pods that it finds, also while the API says nothing of their claims. */
async function nextAgent(t: ExecutionContext, bench: Bench): Promise<void> {
  const { client, dataDir } = bench;
  const claim = await client.create(persistentvolumeclaims, {
    metadata: { name: 'long', namespace: 'ns' },
    spec: { volumeName: 'pv-long' },
    status: { phase: 'Bound' },
  });
  await mkdir(join(dataDir, 'long'));
  await client.create(persistentvolumes, {
    metadata: { name: 'pv-long' },
    spec: {
      local: { path: join(dataDir, 'long') },
      claimRef: { namespace: 'ns', name: 'long', uid: claim.metadata?.uid ?? '' },
    },
    status: { phase: 'Bound' },
  });
  const script = 'echo started >>/v/log; chmod 700 /own; until [ -e /w/go ]; do sleep 0.1; done; rm /w/go; exit 1';
  await bench.create('long', script, {
    restartPolicy: 'Always',
    volumes: [
      { name: 'v', persistentVolumeClaim: { claimName: 'long' } },
      { name: 'own', emptyDir: { medium: 'Memory' } },
    ],
    container: { volumeMounts: [at('/v', 'v', { subPath: 'a/b' }), at('/w'), at('/own', 'own')] },
  });
  const log = async () =>
    (await readFile(join(dataDir, 'long/a/b/log'), 'utf8').catch(() => '')).split('\n').length - 1;
  await until('it runs', async () => (await log()) === 1, WAIT_MS_MAX);
  await bench.restart();
  await client.delete(persistentvolumes, { name: 'pv-long' });
  await writeFile(join(dataDir, 'long/go'), '');
  await until('it runs again', async () => (await log()) === 2, WAIT_MS_MAX);
  const { uid = '' } = (await bench.pod('long')).metadata ?? {};
  t.is((await stat(join(dataDir, 'pods', uid, 'volumes/own'))).mode & 0o777, 0o700, 'its own mode stays');
  await bench.remove('long');
  t.is(await log(), 2, 'the data stay');
}

/** A device made of a file, if this machine has any to spare. */
async function blockDevice(t: ExecutionContext, bench: Bench): Promise<void> {
  const file = join(bench.dataDir, 'disk');
  await writeFile(file, Buffer.alloc(1024 * 1024, 'block '));
  let device: string;
  try {
    device = execFileSync('losetup', ['--find', '--show', file], { encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch {
    t.log('block devices: not tried, this machine has no loop devices');
    return;
  }
  try {
    const claim = await bench.client.create(persistentvolumeclaims, {
      metadata: { name: 'block', namespace: 'ns' },
      spec: { volumeName: 'pv-block' },
      status: { phase: 'Bound' },
    });
    await bench.client.create(persistentvolumes, {
      metadata: { name: 'pv-block' },
      spec: {
        volumeMode: 'Block',
        local: { path: device },
        claimRef: { namespace: 'ns', name: 'block', uid: claim.metadata?.uid ?? '' },
      },
      status: { phase: 'Bound' },
    });
    const volumes = [{ name: 'v', persistentVolumeClaim: { claimName: 'block' } }];
    const volumeDevices = [{ name: 'v', devicePath: '/dev/xvda' }];
    const script =
      '[ -b /dev/xvda ] && head -c 12 /dev/xvda; echo; echo written | dd of=/dev/xvda conv=notrunc 2>/dev/null; sync';
    t.is(await bench.run('block', script, { volumes, container: { volumeDevices } }), 'block block \n');
    execFileSync('blockdev', ['--flushbufs', device]);
    t.is((await readFile(file, 'utf8')).slice(0, 8), 'written\n');
    await bench.create('confused', 'true', { volumes, container: { volumeMounts: [at('/v')] } });
    const { status } = await bench.untilPod(
      'confused',
      'refused',
      pod => pod.status?.containerStatuses?.[0]?.state?.waiting?.reason === 'CreateContainerConfigError',
    );
    const wanted = 'volume v has volumeMode Block, but is specified in volumeMounts';
    t.is(status?.containerStatuses?.[0]?.state?.waiting?.message, wanted);
    await bench.remove('confused');
  } finally {
    execFileSync('losetup', ['--detach', device]);
  }
}

for (const target of TARGETS) {
  const title = `pods see their volumes as they are specified (${target.name})`;
  if (target.lacks) {
    test.skip(`${title} (needs ${target.lacks})`, t => t.pass());
    continue;
  }
  test.serial(title, async t => {
    t.timeout(600_000);
    const dataDir = await mkdtemp(join(tmpdir(), 'raftsman-pods-'));
    const bench = new Bench(dataDir, target);
    await bench.start();
    try {
      await emptyDirs(t, bench);
      await projections(t, bench);
      await blockDevice(t, bench);
      await nextAgent(t, bench);
      await Promise.all([updates(t, bench), subPathExpressions(t, bench), restarts(t, bench), persistent(t, bench)]);
    } finally {
      await bench.close();
    }
    t.deepEqual(await mountsBelow(dataDir), [], 'nothing stays mounted');
    await rm(dataDir, { recursive: true, force: true });
  });
}
