/** Moments and changes, and the past of an object over the requests of a server that keeps some of it. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { runInProcess } from '../../test/helpers/cli-in-process.ts';
import { parseMoment } from '../client/history.ts';
import { changedPaths } from './history.ts';

const NOW = Date.parse('2026-01-01T00:00:10Z');

test('a moment is a revision, how long ago, or a time', t => {
  t.deepEqual(parseMoment('4711', NOW), { type: 'revision', revision: 4711 });
  t.deepEqual(parseMoment('1m30s', NOW), { type: 'time', timeMs: NOW - 90_000 });
  t.deepEqual(parseMoment('2d', NOW), { type: 'time', timeMs: NOW - 2 * 86_400_000 });
  t.deepEqual(parseMoment('2025-12-31T00:00:00Z', NOW), { type: 'time', timeMs: Date.parse('2025-12-31T00:00:00Z') });
  for (const text of ['yesterday', '5x', '', '-5m']) t.throws(() => parseMoment(text, NOW), { message: /neither/ });
});

test('changes are told by their paths, without what every write changes', t => {
  const before = {
    metadata: { resourceVersion: '1', generation: 1, labels: { a: 'b' } },
    spec: { replicas: 2, list: [1] },
  };
  const after = {
    metadata: { resourceVersion: '2', generation: 2 },
    spec: { replicas: 3, list: [1, 2], text: 'x'.repeat(99) },
  };
  t.deepEqual(changedPaths(before, after), [
    'metadata.labels',
    'spec.list',
    'spec.replicas: 2 → 3',
    `spec.text: none → ${'x'.repeat(24)}…`,
  ]);
  t.deepEqual(changedPaths(before, before), []);
});

const map = (revision: number, value: string) => ({
  metadata: {
    name: 'c',
    namespace: 'default',
    creationTimestamp: '2026-01-01T00:00:00Z',
    resourceVersion: String(revision),
    managedFields: [{ manager: 'kubectl', time: `2026-01-01T00:00:0${revision % 10}Z` }],
  },
  data: { a: value },
});
const lease = (revision: number, seconds: number) => ({
  metadata: { name: 'l', resourceVersion: String(revision) },
  spec: { renewTime: `2026-01-01T00:00:0${seconds}.000000Z` },
});
/** History reaches back to revision 21: the map had four versions, of which the first is from before. */
const OLDEST = 21;
const VERSIONS = [map(12, 'one'), map(23, 'two'), map(25, 'three')];

async function server(t: ExecutionContext): Promise<string> {
  const resources = [
    {
      resource: 'configmaps',
      responseKind: { kind: 'ConfigMap' },
      scope: 'Namespaced',
      singularResource: 'configmap',
      shortNames: ['cm'],
    },
  ];
  const instance = http.createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://x');
    const query = Object.fromEntries(url.searchParams);
    const answer = (body: unknown, code = 200) => {
      response.writeHead(code, { 'content-type': 'application/json' });
      response.end(typeof body === 'string' ? body : JSON.stringify(body));
    };
    const events = (all: { type: string; object: { metadata: { resourceVersion: string } } }[]) => {
      const from = Number(query.resourceVersion);
      if (from < OLDEST) {
        const message = `too old resource version: ${from} (${OLDEST})`;
        const status = { kind: 'Status', status: 'Failure', reason: 'Expired', message, code: 410 };
        return answer(`${JSON.stringify({ type: 'ERROR', object: status })}\n`);
      }
      const later = all.filter(({ object }) => Number(object.metadata.resourceVersion) > from);
      return answer(later.map(event => `${JSON.stringify(event)}\n`).join(''));
    };
    if (url.pathname === '/api')
      answer({ kind: 'APIGroupDiscoveryList', items: [{ versions: [{ version: 'v1', resources }] }] });
    else if (url.pathname === '/apis') answer({ kind: 'APIGroupDiscoveryList', items: [] });
    else if (url.pathname.endsWith('/leases')) {
      const renewals = [lease(22, 2), lease(24, 4), lease(26, 6)];
      if (query.watch) events(renewals.map(object => ({ type: 'MODIFIED', object })));
      else answer({ items: [renewals.at(-1)] });
    } else if (query.watch) events(VERSIONS.slice(1).map(object => ({ type: 'MODIFIED', object })));
    else if (query.resourceVersionMatch === 'Exact') {
      const revision = Number(query.resourceVersion);
      if (revision < OLDEST) {
        answer({ kind: 'Status', status: 'Failure', reason: 'Expired', message: 'too old', code: 410 }, 410);
        return;
      }
      const found = VERSIONS.findLast(({ metadata }) => Number(metadata.resourceVersion) <= revision);
      answer({ kind: 'ConfigMapList', apiVersion: 'v1', metadata: {}, items: found ? [found] : [] });
    } else if (url.pathname.endsWith('/configmaps/c'))
      answer({ kind: 'ConfigMap', apiVersion: 'v1', ...VERSIONS.at(-1) });
    else answer({ metadata: { resourceVersion: '30' }, items: [VERSIONS.at(-1)] });
  });
  await new Promise<void>(resolve => instance.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    instance.closeAllConnections();
    instance.close();
  });
  return `http://127.0.0.1:${(instance.address() as AddressInfo).port}`;
}

test('history lists the versions that are kept', async t => {
  const url = await server(t);
  const { stdout, stderr } = await runInProcess(['history', 'cm', 'c', '-s', url]);
  t.is(stderr, '');
  t.is(
    stdout,
    'REVISION   AGE   CHANGE        BY        FIELDS\n' +
      '12         8s    before that   kubectl\n' +
      '23         7s    changed       kubectl   data.a: one → two\n' +
      '25         5s    changed       kubectl   data.a: two → three\n',
  );
});

test('get reads an object as it was', async t => {
  const url = await server(t);
  const value = async (...words: string[]) =>
    (await runInProcess(['get', 'cm', 'c', '-o', 'jsonpath={.data.a}', '-s', url, ...words])).stdout;
  t.is(await value(), 'three');
  t.is(await value('--as-of=23'), 'two');
  t.is(await value('--as-of=22'), 'one');
  // Leases tell that revision 24 was at 00:00:04, which is six seconds ago.
  t.is(await value('--as-of=6s'), 'two');
  t.is(await value('--as-of=2026-01-01T00:00:06Z'), 'three');
});

test('what is no longer kept is told with what to do', async t => {
  const url = await server(t);
  const run = (...words: string[]) => runInProcess(['get', 'cm', 'c', '-s', url, ...words]);
  const gone = await run('--as-of=5', '-o', 'yaml');
  t.regex(gone.stderr, /^error: revision 5 is no longer kept: "raftsman history TYPE NAME" shows/);
  t.is(gone.exitCode, 1);
  const old = await run('--as-of=1h', '-o', 'yaml');
  t.regex(old.stderr, /the oldest kept moment is 2026-01-01T00:00:02Z \(revision 22\)/);
  const both = await run('--as-of=23', '-w');
  t.regex(both.stderr, /the past does not change/);
});

test('diff shows what changed between two moments', async t => {
  const url = await server(t);
  const env = { PATH: process.env.PATH ?? '' };
  const outcome = await runInProcess(['diff', 'cm', 'c', '--from=22', '--to=25', '-s', url], env);
  t.regex(outcome.stdout, /^- {2}a: one$/m);
  t.regex(outcome.stdout, /^\+ {2}a: three$/m);
  t.is(outcome.exitCode, 1);
});
