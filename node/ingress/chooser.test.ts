/** Endpoints: which of a Service's are behind a port, and which of them is next. */
import test from 'ava';
import { ManualClock } from '../../control/client/testing/manual-clock.ts';
import { type Backend, type Endpoint, resolveBackend } from './backends.ts';
import { Chooser } from './chooser.ts';
import { serviceOf, sliceOf } from './testing/objects.ts';

const reference = (port: string | number) => ({ key: `default/web:${port}`, service: 'default/web', port });
const endpoint = (port: number): Endpoint => ({ key: `10.0.0.1:${port}`, address: '10.0.0.1', port });
const backend = (count: number, affinityMs = 0): Extract<Backend, { type: 'endpoints' }> => ({
  type: 'endpoints',
  endpoints: Array.from({ length: count }, (_, index) => endpoint(index)),
  affinityMs,
});
const none: ReadonlySet<string> = new Set();

test('a port of a Service by number and by name', t => {
  const slices = [sliceOf('web', { port: 8080 })];
  const keys = (found: Backend) => (found.type === 'endpoints' ? found.endpoints.map(({ key }) => key) : found.why);
  t.deepEqual(keys(resolveBackend(reference(80), serviceOf('web'), slices)), ['127.0.0.1:8080']);
  t.deepEqual(keys(resolveBackend(reference('http'), serviceOf('web'), slices)), ['127.0.0.1:8080']);
  t.is(keys(resolveBackend(reference(81), serviceOf('web'), slices)), 'the Service default/web has no TCP port 81');
  t.is(keys(resolveBackend(reference(80), undefined, slices)), 'the Service default/web does not exist');
  t.is(
    keys(resolveBackend(reference(80), serviceOf('web', { type: 'ExternalName', externalName: 'x.com' }), slices)),
    'the Service default/web is of type ExternalName, which Ingress does not route',
  );
});

test('draining endpoints count only where none is ready', t => {
  const ports = (...slices: Parameters<typeof sliceOf>[1][]) => {
    const found = resolveBackend(
      reference(80),
      serviceOf('web'),
      slices.map(slice => sliceOf('web', slice)),
    );
    return found.type === 'endpoints' ? found.endpoints.map(({ port }) => port) : [];
  };
  t.deepEqual(ports({ port: 1 }, { port: 2, state: 'draining' }), [1]);
  t.deepEqual(ports({ port: 1, state: 'gone' }, { port: 2, state: 'draining' }), [2]);
  t.deepEqual(ports({ port: 1, state: 'gone' }), []);
});

test('endpoints have their turns evenly, each backend on its own', t => {
  const chooser = new Chooser(new ManualClock());
  const counts = new Map<string, number>();
  for (let request = 0; request < 300; request++) {
    const key = request % 3 === 0 ? 'a' : 'b';
    const chosen = chooser.choose({ key, backend: backend(4), clientAddress: '', tried: none });
    counts.set(`${key}${chosen?.port}`, (counts.get(`${key}${chosen?.port}`) ?? 0) + 1);
  }
  t.deepEqual(new Set(counts.values()), new Set([25, 50]));
});

test('what was tried is not tried again, and what could not be reached rests', async t => {
  const clock = new ManualClock();
  const chooser = new Chooser(clock);
  const choose = (tried: ReadonlySet<string> = none) =>
    chooser.choose({ key: 'a', backend: backend(2), clientAddress: '', tried });
  t.is(choose(new Set([endpoint(0).key]))?.port, 1);
  t.is(choose(new Set([endpoint(0).key, endpoint(1).key])), undefined);
  chooser.rest(endpoint(0));
  t.deepEqual([choose()?.port, choose()?.port, choose()?.port], [1, 1, 1]);
  t.is(choose(new Set([endpoint(1).key]))?.port, 0, 'where all others were tried, one that rests is better than none');
  await clock.advance(2_001);
  t.deepEqual([choose()?.port, choose()?.port].sort(), [0, 1]);
});

test('with affinity a client stays, also when endpoints come, and moves when its own goes', async t => {
  const clock = new ManualClock();
  const chooser = new Chooser(clock);
  const choose = (clientAddress: string, among = backend(3, 1_000)) =>
    chooser.choose({ key: 'a', backend: among, clientAddress, tried: none })?.port;
  const clients = Array.from({ length: 300 }, (_, index) => `10.1.0.${index}`);
  const first = new Map(clients.map(client => [client, choose(client)]));
  for (const port of [0, 1, 2]) {
    const count = [...first.values()].filter(chosen => chosen === port).length;
    t.true(count > 60 && count < 140, `${count} of 300 at one of three`);
  }
  for (const client of clients) t.is(choose(client, backend(5, 1_000)), first.get(client));
  const other = new Chooser(clock);
  for (const client of clients) {
    t.is(
      other.choose({ key: 'a', backend: backend(3, 1_000), clientAddress: client, tried: none })?.port,
      first.get(client),
    );
  }
  const less = { ...backend(3, 1_000), endpoints: [endpoint(1), endpoint(2)] };
  for (const client of clients) if (first.get(client) !== 0) t.is(choose(client, less), first.get(client));
  await clock.advance(1_001);
  t.true(
    clients.some(client => choose(client, backend(5, 1_000)) !== first.get(client)),
    'its time is over',
  );
});
