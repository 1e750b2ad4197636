/** Which backend a host and a path lead to: cases of the Ingress specification, then properties. */
import test from 'ava';
import fc from 'fast-check';
import type { Ingress, IngressClass } from '../api.ts';
import { normalPath } from './path.ts';
import { hostLevels, includesHost, matchRoute, planTable } from './table.ts';
import { backendOf, ingressOf, ownClass } from './testing/objects.ts';

const plan = (...ingresses: Ingress[]) => planTable(ingresses, [ownClass]);
const lead = (table: ReturnType<typeof plan>, host: string, path: string) =>
  matchRoute(table, { host, path: normalPath(path) })?.backend?.key.replace('default/', '');

test('paths, as the specification has them', t => {
  const cases: readonly (readonly [string, string, string, boolean])[] = [
    ['Prefix', '/', '/any/path', true],
    ['Exact', '/foo', '/foo', true],
    ['Exact', '/foo', '/bar', false],
    ['Exact', '/foo', '/foo/', false],
    ['Exact', '/foo/', '/foo', false],
    ['Prefix', '/foo', '/foo', true],
    ['Prefix', '/foo', '/foo/', true],
    ['Prefix', '/foo/', '/foo', true],
    ['Prefix', '/foo/', '/foo/', true],
    ['Prefix', '/aaa/bb', '/aaa/bbb', false],
    ['Prefix', '/aaa/bbb', '/aaa/bbb', true],
    ['Prefix', '/aaa/bbb/', '/aaa/bbb', true],
    ['Prefix', '/aaa/bbb', '/aaa/bbb/', true],
    ['Prefix', '/aaa/bbb', '/aaa/bbb/ccc', true],
    ['Prefix', '/aaa/bbb', '/aaa/bbbxyz', false],
    ['Prefix', '/foo', '/Foo', false],
    ['ImplementationSpecific', '/foo', '/foo/bar', true],
    ['ImplementationSpecific', '', '/foo/bar', true],
    ['Prefix', '/admin', '/public/%2e%2e/admin', true],
    ['Prefix', '/public', '/public/../admin', false],
  ];
  for (const [type, rule, path, expected] of cases) {
    t.is(
      lead(plan(ingressOf('a', [`h ${rule} ${type} s:80`])), 'h', path) !== undefined,
      expected,
      `${type} ${rule} ${path}`,
    );
  }
});

test('the longest path wins, and Exact before Prefix', t => {
  const table = plan(
    ingressOf('a', ['h / Prefix root:80', 'h /aaa Prefix short:80', 'h /aaa/bbb Prefix long:80', 'h /foo Prefix p:80']),
    ingressOf('b', ['h /foo Exact e:80']),
  );
  const cases = [
    ['/aaa/ccc', 'short:80'],
    ['/aaa/bbb/ccc', 'long:80'],
    ['/ccc', 'root:80'],
    ['/foo', 'e:80'],
    ['/foo/', 'p:80'],
    ['/foo/x', 'p:80'],
  ] as const;
  for (const [path, expected] of cases) t.is(lead(table, 'h', path), expected, path);
  t.is(lead(table, 'h', `/aaa/bbb${'/'.repeat(10_000)}`), 'long:80');
});

test('hosts: exact, then a wildcard of one label, then none', t => {
  const table = plan(
    ingressOf('a', ['*.example.com / Prefix wild:80', 'www.example.com /a Prefix exact:80', '- / Prefix any:80']),
  );
  const cases = [
    ['www.example.com', '/a', 'exact:80'],
    ['www.example.com', '/b', 'wild:80'],
    ['api.example.com', '/', 'wild:80'],
    ['a.b.example.com', '/', 'any:80'],
    ['example.com', '/', 'any:80'],
    ['', '/', 'any:80'],
    ['constructor', '/', 'any:80'],
  ] as const;
  for (const [host, path, expected] of cases) t.is(lead(table, host, path), expected, `${host}${path}`);
  t.deepEqual(hostLevels('a.b'), ['a.b', '*.b', '']);
});

test('default backends: of the host, then of an Ingress without rules, then of any', t => {
  const withRules = ingressOf('a', ['h /a Prefix a:80'], { spec: { defaultBackend: backendOf('own:80') } });
  const bare = ingressOf('b', [], { spec: { defaultBackend: backendOf('all:web') } });
  t.is(lead(plan(withRules, bare), 'h', '/x'), 'own:80');
  t.is(lead(plan(withRules, bare), 'other', '/x'), 'all:web');
  t.is(lead(plan(withRules), 'other', '/x'), 'own:80');
  t.is(lead(plan(ingressOf('a', ['h /a Prefix a:80'])), 'h', '/x'), undefined);
});

test('of two that say different things the older one holds, then the first by name', t => {
  const at = (creationTimestamp: string) => ({ metadata: { creationTimestamp } });
  const young = ingressOf('a', ['h / Prefix young:80'], at('2026-02-01T00:00:00Z'));
  const old = ingressOf('b', ['h / Prefix old:80'], at('2026-01-01T00:00:00Z'));
  t.is(lead(plan(young, old), 'h', '/'), 'old:80');
  t.is(lead(plan(ingressOf('y', ['h / Prefix y:80']), ingressOf('x', ['h / Prefix x:80'])), 'h', '/'), 'x:80');
});

test('which Ingresses are routed', t => {
  const other: IngressClass = { metadata: { name: 'nginx' }, spec: { controller: 'k8s.io/ingress-nginx' } };
  const second: IngressClass = { metadata: { name: 'second' }, spec: { controller: 'raftsman.io/ingress' } };
  const routed = (ingress: Ingress, classes: readonly IngressClass[]) => planTable([ingress], classes).size === 1;
  const annotated = (value: string): Ingress => {
    const { ingressClassName: _, ...spec } = ingressOf('a', ['h / Prefix s:80']).spec ?? {};
    return { metadata: { name: 'a', namespace: 'n', annotations: { 'kubernetes.io/ingress.class': value } }, spec };
  };
  const named = (ingressClassName: string) => ingressOf('a', ['h / Prefix s:80'], { spec: { ingressClassName } });
  const { ingressClassName: _, ...classless } = ingressOf('a', ['h / Prefix s:80']).spec ?? {};
  const bare: Ingress = { metadata: { name: 'a', namespace: 'n' }, spec: classless };
  t.true(routed(named('raftsman'), [ownClass]));
  t.false(routed(named('raftsman'), []));
  t.true(routed(named('second'), [ownClass, second]));
  t.false(routed(named('nginx'), [ownClass, other]));
  t.true(routed(annotated('raftsman'), []));
  t.false(routed(annotated('nginx'), [ownClass, other]));
  t.true(routed(bare, [ownClass]));
  t.false(routed(bare, [second]));
  const newer: IngressClass = {
    ...other,
    metadata: { ...ownClass.metadata, name: 'nginx', creationTimestamp: '2026-01-01T00:00:00Z' },
  };
  t.false(routed(bare, [ownClass, newer]), 'the newest default decides, as it does in admission');
});

test('TLS: who is redirected, and which Secret is for which host', t => {
  const tls = [{ hosts: ['A.example.com', '*.b.com'], secretName: 's1' }];
  const table = plan(
    ingressOf('a', ['a.example.com / Prefix s:80'], { spec: { tls } }),
    ingressOf('b', ['c.com / Prefix s:80'], { spec: { tls: [{ secretName: 's2' }] } }),
    ingressOf('c', ['- /x Prefix s:80'], { spec: { tls: [{ secretName: 's3' }] } }),
    ingressOf('d', ['d.com / Prefix s:80'], {
      spec: { tls: [{ hosts: ['a.example.com'], secretName: 's4' }] },
      metadata: { annotations: { 'ingress.raftsman.io/ssl-redirect': 'false' } },
    }),
  );
  t.deepEqual(
    table.certificates.map(({ host, secret }) => [host, secret]),
    [
      ['a.example.com', 'default/s1'],
      ['*.b.com', 'default/s1'],
      ['c.com', 'default/s2'],
      ['', 'default/s3'],
    ],
  );
  const redirect = (host: string) => {
    const set = matchRoute(table, { host, path: '/x' })?.redirect;
    return set !== undefined && includesHost(set, host);
  };
  t.true(redirect('a.example.com'));
  t.true(redirect('c.com'));
  t.true(redirect('whoever'));
  t.false(redirect('d.com'));
});

test('annotations with numbers, and what is no number', t => {
  const of = (annotations: Record<string, string>) =>
    matchRoute(plan(ingressOf('a', ['h / Prefix s:80'], { metadata: { annotations } })), { host: 'h', path: '/' });
  t.like(of({}), { bodyBytesMax: Number.POSITIVE_INFINITY, responseTimeoutMs: 60_000 });
  t.like(of({ 'ingress.raftsman.io/max-body-bytes': '1024', 'ingress.raftsman.io/response-timeout-seconds': '5' }), {
    bodyBytesMax: 1024,
    responseTimeoutMs: 5_000,
  });
  t.like(
    of({ 'ingress.raftsman.io/max-body-bytes': '-1', 'ingress.raftsman.io/response-timeout-seconds': '99999999' }),
    { bodyBytesMax: Number.POSITIVE_INFINITY, responseTimeoutMs: 3_600_000 },
  );
});

test('the table says what a search through all rules says', t => {
  const host = fc.constantFrom('a.x', 'b.x', '*.x', '-');
  const path = fc.array(fc.constantFrom('a', 'b', 'ab'), { maxLength: 3 }).map(parts => `/${parts.join('/')}`);
  const rule = fc.record({ host, path, type: fc.constantFrom('Exact', 'Prefix') });
  const asked = fc.record({ host: fc.constantFrom('a.x', 'b.x', 'c.x', 'y', ''), path });
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 8 }), asked, (rules, request) => {
      const table = plan(
        ...rules.map((one, index) => ingressOf(`i${index}`, [`${one.host} ${one.path} ${one.type} s${index}:80`])),
      );
      const rank = (one: (typeof rules)[number]) => {
        const level = hostLevels(request.host).indexOf(one.host === '-' ? '' : one.host);
        const prefix = one.path === '/' ? '' : one.path;
        const meets = one.type === 'Exact' ? one.path === request.path : `${request.path}/`.startsWith(`${prefix}/`);
        return level < 0 || !meets ? undefined : [level, one.type === 'Exact' ? -1000 : -prefix.length];
      };
      let best: { index: number; rank: number[] } | undefined;
      rules.forEach((one, index) => {
        const mine = rank(one);
        if (!mine) return;
        const [a = 0, b = 0] = mine;
        const [c = 0, d = 0] = best?.rank ?? [];
        if (!best || a < c || (a === c && b < d)) best = { index, rank: mine };
      });
      t.is(lead(table, request.host, request.path), best && `s${best.index}:80`);
    }),
    { numRuns: 300 },
  );
});
