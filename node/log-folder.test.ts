import test from 'ava';
import { findLogEntry } from './log-folder.ts';
import type { ContainerStatus, SandboxStatus } from './runtime/runtime.ts';

const container = (id: string, name: string, attempt = 0): ContainerStatus => ({
  ...{ id, name, attempt, image: 'i', imageId: 'i', createdAt: 0, state: 'created' },
});
const sandbox = (name: string, containers: readonly ContainerStatus[], attempt = 0): SandboxStatus => ({
  ...{ id: `${name}-${attempt}`, pod: { uid: `u-${name}`, namespace: 'ns', name }, attempt, createdAt: 0 },
  ...{ ready: true, pid: 1, containers },
});
const all = [
  sandbox('web', [container('c0', 'app'), container('c1', 'app', 1), container('s0', 'sidecar')]),
  sandbox('db', [container('d0', 'db')]),
  sandbox('db', [container('d1', 'db')], 1),
];
const at = (...parts: readonly string[]) => {
  const found = findLogEntry(all, parts);
  return found?.type === 'folder' ? found.names : found?.containerId;
};

test('logs stand where Kubernetes has them: by pod, container and attempt, and all in one folder', t => {
  t.deepEqual(at(), ['containers/', 'pods/']);
  t.deepEqual(at('pods'), ['ns_db_u-db/', 'ns_web_u-web/']);
  t.deepEqual(at('pods', 'ns_web_u-web'), ['app/', 'sidecar/']);
  t.deepEqual(at('pods', 'ns_web_u-web', 'app'), ['0.log', '1.log']);
  t.is(at('pods', 'ns_web_u-web', 'app', '1.log'), 'c1');
  t.deepEqual(at('containers'), [
    'db_ns_db-d0.log',
    'db_ns_db-d1.log',
    'web_ns_app-c0.log',
    'web_ns_app-c1.log',
    'web_ns_sidecar-s0.log',
  ]);
  t.is(at('containers', 'web_ns_sidecar-s0.log'), 's0');
  t.is(at('pods', 'ns_db_u-db', 'db', '0.log'), 'd1', 'of a sandbox that was made anew the last one');
});

test('there is nothing else, and no way out', t => {
  for (const parts of [
    ['other'],
    [''],
    ['..'],
    ['pods', '..'],
    ['pods', 'ns_web_u-web', '..', 'app'],
    ['pods', 'ns_web_u-web', 'app', '2.log'],
    ['pods', 'ns_web_u-web', 'app', '0.log', ''],
    ['containers', '../pods'],
    ['containers', 'web_ns_app-c0.log', 'x'],
    ['containers', '/etc/passwd'],
  ])
    t.is(at(...parts), undefined, parts.join('/'));
  t.deepEqual(findLogEntry([], ['pods']), { type: 'folder', names: [] });
});
