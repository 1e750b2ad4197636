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
import { until } from '../../control/client/testing/until.ts';
import { configmaps, persistentvolumeclaims, persistentvolumes, pods } from '../api.ts';
import { createDockerRuntime } from '../runtime/docker/docker.ts';
import { connectEngine, defaultDockerHost } from '../runtime/docker/engine.ts';
import { createNativeRuntime } from '../runtime/native/native.ts';
import { busybox, importBusybox } from '../testing/busybox-image.ts';
import { mountsBelow } from './mounts.ts';
import {
  at,
  Bench,
  fileSystem,
  lines,
  one,
  see,
  type Target,
  UPDATE_MS_MAX,
  WAIT_MS_MAX,
} from './testing/pod-bench.ts';
import { projections, updates } from './testing/projected-volumes.ts';

const dockerHost = process.env.DOCKER_HOST ?? defaultDockerHost;
const DOCKER_IMAGE = 'raftsman-test/volumes:1';
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
