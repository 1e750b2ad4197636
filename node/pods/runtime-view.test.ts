import test from 'ava';
import { systemClock } from '../clock.ts';
import type { Runtime, RuntimeEvent, SandboxStatus } from '../runtime/runtime.ts';
import { RuntimeView } from './runtime-view.ts';

const sandbox = (uid: string, change: Partial<SandboxStatus> = {}): SandboxStatus => ({
  id: `sandbox-of-${uid}`,
  pod: { uid, namespace: 'default', name: uid },
  attempt: 0,
  createdAt: 1,
  ready: true,
  pid: 2,
  containers: [],
  ...change,
});

interface Asked {
  readonly what: string;
  answer(...sandboxes: SandboxStatus[]): void;
  fail(): void;
}

/** A runtime whose every answer is given by the test. */
function newView({ tellsOfOnePod = true, events = [] as readonly RuntimeEvent[] } = {}) {
  const asked: Asked[] = [];
  const changed: string[] = [];
  const ask = (what: string) => {
    const { promise, resolve, reject } = Promise.withResolvers<readonly SandboxStatus[]>();
    asked.push({ what, answer: (...sandboxes) => resolve(sandboxes), fail: () => reject(new Error('no answer')) });
    return promise;
  };
  const runtime: Pick<Runtime, 'list' | 'listPod' | 'events'> = {
    list: () => ask('all'),
    ...(tellsOfOnePod && { listPod: (uid: string) => ask(uid) }),
    events: async function* (signal) {
      yield* events;
      await new Promise(resolve => signal.addEventListener('abort', resolve));
    },
  };
  const logger = { warn: () => undefined } as never;
  const onChange = (uid: string) => changed.push(uid);
  const view = new RuntimeView({ runtime: runtime as Runtime, clock: systemClock, logger, onChange });
  return { view, asked, changed, names: () => asked.map(({ what }) => what) };
}
const turn = () => new Promise<void>(resolve => setImmediate(resolve));

test('one pod is looked at without waiting for a look at all', async t => {
  const { view, asked, changed } = newView();
  const whole = view.refresh();
  const own = view.refreshPod('a');
  asked[1]?.answer(sandbox('a'));
  await own;
  t.is(view.of('a').length, 1);
  t.deepEqual(changed, ['a']);
  // It began before: what it says of the pod is older.
  asked[0]?.answer(sandbox('a', { ready: false }), sandbox('b'));
  await whole;
  t.true(view.of('a')[0]?.ready);
  t.deepEqual(changed, ['a', 'b']);
});

test('an older look at all does not bring back what a pod had', async t => {
  const { view, asked, names } = newView();
  const first = view.refresh();
  asked[0]?.answer(sandbox('a'));
  await first;
  const whole = view.refresh();
  const own = view.refreshPod('a');
  asked[2]?.answer();
  await own;
  asked[1]?.answer(sandbox('a'));
  await whole;
  t.deepEqual(view.podUids(), []);
  // The next one knows better again.
  const last = view.refresh();
  asked[3]?.answer(sandbox('a'));
  await last;
  t.deepEqual(view.podUids(), ['a']);
  t.deepEqual(names(), ['all', 'all', 'a', 'all']);
});

test('an older look at a pod changes nothing after a look at all', async t => {
  const { view, asked, changed } = newView();
  const own = view.refreshPod('a');
  const whole = view.refresh();
  asked[1]?.answer(sandbox('a', { attempt: 1 }));
  await whole;
  asked[0]?.answer(sandbox('a'));
  await own;
  t.is(view.of('a')[0]?.attempt, 1);
  t.deepEqual(changed, ['a']);
});

test('calls for a pod that come while it is looked at share the next look, also after one that failed', async t => {
  const { view, asked, names } = newView();
  const first = view.refreshPod('a');
  const shared = [view.refreshPod('a'), view.refreshPod('a')];
  const others = view.refreshPod('b');
  asked[0]?.fail();
  await t.throwsAsync(first, { message: 'no answer' });
  await turn();
  t.deepEqual(names(), ['a', 'b', 'a']);
  asked[2]?.answer(sandbox('a'), sandbox('a', { id: 'newer', createdAt: 2 }));
  asked[1]?.answer(sandbox('b'));
  await Promise.all([...shared, others]);
  t.deepEqual(
    view.of('a').map(({ id }) => id),
    ['newer', 'sandbox-of-a'],
  );
});

test('a runtime that cannot tell of one pod is asked for all', async t => {
  const { view, asked, names } = newView({ tellsOfOnePod: false });
  const own = view.refreshPod('a');
  asked[0]?.answer(sandbox('a'));
  await own;
  t.deepEqual(names(), ['all']);
  t.is(view.of('a').length, 1);
});

test('news of a pod leads to a look at it, news without one to a look at all', async t => {
  const { view, names } = newView({ events: [{ podUid: 'a' }, { podUid: undefined }] });
  const stop = new AbortController();
  const running = view.run(stop.signal);
  await turn();
  t.deepEqual(names(), ['a', 'all']);
  stop.abort();
  await running;
});
