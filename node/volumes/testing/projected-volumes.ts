/** Cases of `pods.test.ts`: volumes that are made of objects of the API. */
import type { ExecutionContext } from 'ava';
import { until } from '../../../control/client/testing/until.ts';
import { configmaps, pods, secrets } from '../../api.ts';
import { at, type Bench, fileSystem, one, type PodOptions, see, UPDATE_MS_MAX, WAIT_MS_MAX } from './pod-bench.ts';

/** Pods at once. */
const PODS_AT_ONCE = 4;

/** Files of ConfigMaps, Secrets and the pod itself: contents, modes, owners, paths. */
export async function projections(t: ExecutionContext, bench: Bench): Promise<void> {
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

/** They follow what they are made of while the pod runs. */
export async function updates(t: ExecutionContext, bench: Bench): Promise<void> {
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
