/** What containers find in their volumes. */
import { check, type Manifest, type PodCase, sh, waits } from '../case.ts';

const done = { phase: 'Succeeded' } as const;
const at = (name = 'v', more: Manifest = {}) => ({ volumeMounts: [{ name, mountPath: `/${name}`, ...more }] });
const config = (name: string, data: object, more: Manifest = {}) => ({
  kind: 'ConfigMap',
  apiVersion: 'v1',
  metadata: { name },
  data,
  ...more,
});
const secret = (name: string, stringData: object) => ({
  kind: 'Secret',
  apiVersion: 'v1',
  metadata: { name },
  stringData,
});
const MERGE = 'application/merge-patch+json';
const mode = (path: string) => `stat -Lc %a ${path}`;

export const volumes: readonly PodCase[] = [
  {
    name: 'empty-dir-is-shared',
    short: true,
    spec: {
      volumes: [{ name: 'v', emptyDir: {} }],
      containers: [
        sh('echo shared > /v/x; sleep 1', { name: 'a', ...at() }),
        sh('while ! test -s /v/x; do sleep 0.1; done; cat /v/x', { name: 'b', ...at() }),
      ],
    },
    end: done,
    logs: { b: 'shared\n' },
  },
  {
    name: 'empty-dir-modes',
    spec: { volumes: [{ name: 'v', emptyDir: {} }], containers: [sh(mode('/v'), at())] },
    end: done,
    logs: { main: /^2?777\n$/ },
  },
  {
    name: 'empty-dir-in-memory',
    spec: {
      volumes: [{ name: 'v', emptyDir: { medium: 'Memory', sizeLimit: '4Mi' } }],
      containers: [
        sh('grep " /v " /proc/mounts | cut -d" " -f3; df -k /v | tail -n 1 | tr -s " " | cut -d" " -f2', at()),
      ],
    },
    end: done,
    logs: { main: 'tmpfs\n4096\n' },
  },
  {
    name: 'empty-dir-of-a-user',
    spec: {
      securityContext: { runAsUser: 1001 },
      volumes: [{ name: 'v', emptyDir: {} }],
      containers: [sh(`umask 0; echo x > /v/f; chmod 0644 /v/f; ${mode('/v/f')}; stat -c %u /v/f`, at())],
    },
    end: done,
    logs: { main: '644\n1001\n' },
  },
  {
    name: 'empty-dir-outlives-a-container',
    spec: {
      restartPolicy: 'OnFailure',
      volumes: [{ name: 'v', emptyDir: {} }],
      containers: [sh('cat /v/x 2>/dev/null && exit 0; echo kept > /v/x; exit 1', at())],
    },
    end: done,
    logs: { main: 'kept\n' },
  },
  {
    name: 'empty-dir-too-full',
    spec: {
      volumes: [{ name: 'v', emptyDir: { sizeLimit: '1Mi' } }],
      containers: [sh('head -c 3000000 /dev/zero > /v/x; sleep 600', at())],
    },
    end: { phase: 'Failed', reason: 'Evicted', message: /Usage of EmptyDir volume "v" exceeds the limit "1Mi"/ },
    events: [['Evicted', /Usage of EmptyDir volume "v" exceeds the limit "1Mi"/]],
  },
  {
    name: 'config-map-as-files',
    short: true,
    objects: [config('files', { one: '1', two: '2' })],
    spec: {
      volumes: [{ name: 'v', configMap: { name: 'files' } }],
      containers: [sh(`cat /v/one /v/two; ${mode('/v/one')}`, at())],
    },
    end: done,
    logs: { main: '12644\n' },
  },
  {
    name: 'config-map-items-and-modes',
    objects: [config('items', { one: '1', two: '2' })],
    spec: {
      volumes: [
        {
          name: 'v',
          configMap: { name: 'items', defaultMode: 0o400, items: [{ key: 'one', path: 'a/b', mode: 0o440 }] },
        },
      ],
      containers: [sh(`cat /v/a/b; ${mode('/v/a/b')}; ls /v`, at())],
    },
    end: done,
    logs: { main: '1440\na\n' },
  },
  {
    name: 'config-map-binary',
    objects: [config('binary', { text: 't' }, { binaryData: { bytes: Buffer.from([0, 255, 1]).toString('base64') } })],
    spec: {
      volumes: [{ name: 'v', configMap: { name: 'binary' } }],
      containers: [sh('cat /v/text; od -An -tu1 /v/bytes', at())],
    },
    end: done,
    logs: { main: /^t\s+0\s+255\s+1\n$/ },
  },
  {
    name: 'config-map-is-optional',
    spec: {
      volumes: [{ name: 'v', configMap: { name: 'never-made', optional: true } }],
      containers: [sh('ls /v | wc -l', at())],
    },
    end: done,
    logs: { main: /^\s*0\n$/ },
  },
  {
    name: 'config-map-is-awaited',
    spec: { volumes: [{ name: 'v', configMap: { name: 'awaited' } }], containers: [sh('cat /v/k', at())] },
    events: [['FailedMount', /MountVolume\.SetUp failed for volume "v" : configmap "awaited" not found/]],
    then: async pod => {
      await pod.api('POST', '/api/v1/namespaces/pods/configmaps', config('awaited', { k: 'came' }));
      await pod.becomes(done);
      await pod.says('main', 'came');
    },
  },
  {
    name: 'config-map-is-updated',
    objects: [config('live', { k: 'old' })],
    spec: {
      volumes: [{ name: 'v', configMap: { name: 'live' } }],
      containers: [sh('while :; do cat /v/k; echo; sleep 1; done', at())],
    },
    logs: { main: /old\n/ },
    then: async pod => {
      await pod.api('PATCH', '/api/v1/namespaces/pods/configmaps/live', { data: { k: 'new' } }, MERGE);
      await pod.says('main', /new\n$/);
    },
    timeoutMs: 90_000,
  },
  {
    name: 'config-map-by-sub-path',
    objects: [config('sub-path', { k: 'v' })],
    spec: {
      volumes: [{ name: 'v', configMap: { name: 'sub-path' } }],
      containers: [sh('cat /etc/k', { volumeMounts: [{ name: 'v', mountPath: '/etc/k', subPath: 'k' }] })],
    },
    end: done,
    logs: { main: 'v' },
  },
  {
    name: 'secret-as-files',
    objects: [secret('secret-files', { k: 'hidden' })],
    spec: {
      volumes: [{ name: 'v', secret: { secretName: 'secret-files', defaultMode: 0o400 } }],
      containers: [sh(`cat /v/k; ${mode('/v/k')}`, at())],
    },
    end: done,
    logs: { main: 'hidden400\n' },
  },
  {
    name: 'secret-never-on-the-disk',
    short: true,
    objects: [secret('secret-memory', { k: 'hidden' }), config('config-disk', { k: 'open' })],
    spec: {
      serviceAccountName: 'default',
      automountServiceAccountToken: true,
      volumes: [
        { name: 'v', secret: { secretName: 'secret-memory' } },
        { name: 'w', configMap: { name: 'config-disk' } },
      ],
      containers: [
        sh(
          `for path in /v /var/run/secrets/kubernetes.io/serviceaccount /w; do
          awk -v path=$(readlink -f $path) '$2==path{print ($3=="tmpfs") ? "memory" : "disk"}' /proc/mounts | tail -1
        done; cat /v/k`,
          {
            volumeMounts: [
              { name: 'v', mountPath: '/v' },
              { name: 'w', mountPath: '/w' },
            ],
          },
        ),
      ],
    },
    end: done,
    logs: { main: 'memory\nmemory\ndisk\nhidden' },
  },
  {
    name: 'secret-for-a-user-and-group',
    objects: [secret('secret-group', { k: 'hidden' })],
    spec: {
      securityContext: { runAsUser: 1000, fsGroup: 1001 },
      volumes: [{ name: 'v', secret: { secretName: 'secret-group', defaultMode: 0o440 } }],
      containers: [sh(`cat /v/k; ${mode('/v/k')}; stat -Lc %g /v/k`, at())],
    },
    end: done,
    logs: { main: 'hidden440\n1001\n' },
  },
  {
    name: 'secret-cannot-be-written',
    objects: [secret('secret-written', { k: 'hidden' })],
    spec: {
      volumes: [{ name: 'v', secret: { secretName: 'secret-written' } }],
      containers: [sh('echo x > /v/k || echo refused', at())],
    },
    end: done,
    logs: { main: /refused\n/ },
  },
  {
    name: 'projected',
    metadata: { labels: { a: 'b' } },
    objects: [config('projected', { c: 'config' }), secret('projected', { s: 'secret' })],
    spec: {
      volumes: [
        {
          name: 'v',
          projected: {
            sources: [
              { configMap: { name: 'projected' } },
              { secret: { name: 'projected', items: [{ key: 's', path: 'deep/s' }] } },
              { downwardAPI: { items: [{ path: 'name', fieldRef: { fieldPath: 'metadata.name' } }] } },
              { serviceAccountToken: { path: 'token', audience: 'me', expirationSeconds: 600 } },
            ],
          },
        },
      ],
      containers: [sh('cat /v/c /v/deep/s /v/name; echo; cut -d. -f1 /v/token | head -c 2', at())],
    },
    end: done,
    logs: { main: 'configsecretprojected\ney' },
  },
  {
    name: 'downward-files',
    metadata: { labels: { a: 'b', c: 'd' } },
    spec: {
      volumes: [
        {
          name: 'v',
          downwardAPI: {
            items: [
              { path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } },
              {
                path: 'cpu',
                mode: 0o400,
                resourceFieldRef: { containerName: 'main', resource: 'limits.cpu', divisor: '1m' },
              },
            ],
          },
        },
      ],
      containers: [
        sh(`cat /v/labels; echo; cat /v/cpu; echo; ${mode('/v/cpu')}`, {
          ...at(),
          resources: { limits: { cpu: '150m' } },
        }),
      ],
    },
    end: done,
    logs: { main: 'a="b"\nc="d"\n150\n400\n' },
  },
  {
    name: 'downward-labels-are-updated',
    metadata: { labels: { a: 'b' } },
    spec: {
      volumes: [{ name: 'v', downwardAPI: { items: [{ path: 'l', fieldRef: { fieldPath: 'metadata.labels' } }] } }],
      containers: [sh('while :; do cat /v/l; echo; sleep 1; done', at())],
    },
    logs: { main: /a="b"\n/ },
    then: async pod => {
      await pod.patch({ metadata: { labels: { a: 'changed' } } });
      await pod.says('main', /a="changed"\n/);
    },
    timeoutMs: 90_000,
  },
  {
    name: 'service-account-token',
    spec: {
      automountServiceAccountToken: true,
      containers: [
        sh('cd /var/run/secrets/kubernetes.io/serviceaccount; cat namespace; test -s token && test -s ca.crt'),
      ],
    },
    end: done,
    logs: { main: 'pods' },
  },
  {
    name: 'sub-path-of-a-volume',
    spec: {
      volumes: [{ name: 'v', emptyDir: {} }],
      initContainers: [sh('mkdir -p /v/a/b; echo deep > /v/a/b/f', { name: 'one', ...at() })],
      containers: [sh('cat /w/f', { volumeMounts: [{ name: 'v', mountPath: '/w', subPath: 'a/b' }] })],
    },
    end: done,
    logs: { main: 'deep\n' },
  },
  {
    name: 'sub-path-with-a-variable',
    spec: {
      volumes: [{ name: 'v', emptyDir: {} }],
      containers: [
        sh('echo here > /own/f; cat /all/sub-path-with-a-variable/f', {
          env: [{ name: 'NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
          volumeMounts: [
            { name: 'v', mountPath: '/own', subPathExpr: '$(NAME)' },
            { name: 'v', mountPath: '/all' },
          ],
        }),
      ],
    },
    end: done,
    logs: { main: 'here\n' },
  },
  {
    name: 'sub-path-that-is-absolute',
    spec: {
      volumes: [{ name: 'v', emptyDir: {} }],
      containers: [
        waits('main', {
          env: [{ name: 'P', value: '/tmp' }],
          volumeMounts: [{ name: 'v', mountPath: '/own', subPathExpr: '$(P)' }],
        }),
      ],
    },
    end: {
      phase: 'Pending',
      containers: { main: { state: 'waiting', reason: 'CreateContainerConfigError', message: /subPath|subpath/i } },
    },
  },
  {
    name: 'sub-path-with-an-unknown-variable',
    spec: {
      volumes: [{ name: 'v', emptyDir: {} }],
      containers: [waits('main', { volumeMounts: [{ name: 'v', mountPath: '/own', subPathExpr: '$(NOWHERE)' }] })],
    },
    end: { containers: { main: { reason: 'CreateContainerConfigError' } } },
  },
  {
    name: 'sub-path-that-gets-well',
    metadata: { annotations: { path: '/absolute' } },
    spec: {
      volumes: [{ name: 'v', emptyDir: {} }],
      containers: [
        sh('echo well', {
          env: [{ name: 'P', valueFrom: { fieldRef: { fieldPath: "metadata.annotations['path']" } } }],
          volumeMounts: [{ name: 'v', mountPath: '/own', subPathExpr: '$(P)' }],
        }),
      ],
    },
    end: { containers: { main: { reason: 'CreateContainerConfigError' } } },
    then: async pod => {
      await pod.patch({ metadata: { annotations: { path: 'relative' } } });
      await pod.becomes(done);
    },
  },
  {
    name: 'host-path-of-a-folder',
    spec: {
      volumes: [{ name: 'v', hostPath: { path: '/etc', type: 'Directory' } }],
      containers: [sh('test -e /v/passwd && echo found', at('v', { readOnly: true }))],
    },
    end: done,
    logs: { main: 'found\n' },
  },
  {
    name: 'host-path-that-is-absent',
    spec: {
      volumes: [{ name: 'v', hostPath: { path: '/no/such/folder', type: 'Directory' } }],
      containers: [waits('main', at())],
    },
    events: [['FailedMount', /hostPath type check failed: \/no\/such\/folder is not a directory/]],
  },
  {
    name: 'host-path-of-the-wrong-type',
    spec: { volumes: [{ name: 'v', hostPath: { path: '/etc', type: 'File' } }], containers: [waits('main', at())] },
    events: [['FailedMount', /hostPath type check failed: \/etc is not a file/]],
  },
  {
    name: 'mount-that-is-read-only',
    spec: {
      volumes: [{ name: 'v', emptyDir: {} }],
      containers: [sh('touch /v/x || echo refused', at('v', { readOnly: true }))],
    },
    end: done,
    logs: { main: /refused\n/ },
  },
  {
    name: 'wrapped-volumes-do-not-clash',
    objects: [config('wrapped', { k: 'c' }), secret('wrapped', { k: 's' })],
    spec: {
      volumes: [
        { name: 'one', configMap: { name: 'wrapped' } },
        { name: 'two', secret: { secretName: 'wrapped' } },
        { name: 'three', emptyDir: { medium: 'Memory' } },
      ],
      containers: [
        sh('cat /one/k /two/k; ls /three', {
          volumeMounts: ['one', 'two', 'three'].map(name => ({ name, mountPath: `/${name}` })),
        }),
      ],
    },
    end: done,
    then: async pod => check((await pod.log('main')) === 'cs', await pod.log('main')),
  },
];
