/** The election on a store in memory, whose leases end by a clock that the test turns, and where the store can be cut off. */
import test from 'ava';
import { type StoreClient, UnavailableError, UnknownOutcomeError } from '../../client/client.ts';
import { createMemoryStore } from '../../client/memory.ts';
import { ManualClock } from '../../testing/manual-clock.ts';
import { Election } from './election.ts';

const KEY = '/leader';
const bytes = (text: string) => new TextEncoder().encode(text);

function candidate(store: StoreClient, clock: ManualClock, name: string): Election {
  return new Election({ store, key: KEY, name, announcement: { key: `/masters/${name}`, value: bytes(name) }, clock });
}

/** Lets everything happen that is ready to, and time pass in between. */
async function pass(clock: ManualClock, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 50) {
    await new Promise(resolve => setImmediate(resolve));
    clock.advance(50);
    await new Promise(resolve => setImmediate(resolve));
  }
}

/** A store that can be cut off from one candidate. */
function cutting(store: StoreClient) {
  const state = { isCut: false, losesNextAnswer: false };
  const client = new Proxy(store, {
    get(target, name) {
      const value = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]) => {
        if (state.isCut) throw new UnavailableError('cut off');
        const answer = await Reflect.apply(value, target, args);
        if (state.losesNextAnswer && name === 'transaction') {
          state.losesNextAnswer = false;
          throw new UnknownOutcomeError('the answer was lost');
        }
        return answer;
      };
    },
  });
  // A watch is no promise; it goes on as a real one would until it notices.
  return {
    state,
    client: new Proxy(client, {
      get: (target, name) => (name === 'watch' ? store.watch.bind(store) : Reflect.get(target, name)),
    }),
  };
}

test('one leads; when it resigns the next one does, under a higher term', async t => {
  const clock = new ManualClock();
  const store = createMemoryStore({ clock });
  const [one, two] = [candidate(store, clock, 'one'), candidate(store, clock, 'two')];
  one.start();
  await pass(clock, 200);
  two.start();
  await pass(clock, 20_000);
  t.true(one.leadership.isLeader);
  t.false(two.leadership.isLeader);
  t.is((await store.range({ key: '/masters/', end: '/masters0' })).count, 2);
  const { term } = one.leadership;
  const closing = one.close();
  await pass(clock, 200);
  await closing;
  t.deepEqual(one.leadership, { isLeader: false, term: 0 });
  t.true(two.leadership.isLeader);
  t.true(two.leadership.term > term);
  t.is((await store.range({ key: '/masters/one' })).count, 0);
  const last = two.close();
  await pass(clock, 200);
  await last;
});

test('a leader that is cut off gives up before another leads', async t => {
  const clock = new ManualClock();
  const store = createMemoryStore({ clock });
  const { state, client } = cutting(store);
  const [one, two] = [candidate(client, clock, 'one'), candidate(store, clock, 'two')];
  const history: string[] = [];
  one.onLeadership(({ isLeader }) => history.push(`one ${isLeader}`));
  one.start();
  await pass(clock, 200);
  two.onLeadership(({ isLeader }) => history.push(`two ${isLeader}`));
  two.start();
  await pass(clock, 500);
  state.isCut = true;
  await pass(clock, 8_000);
  t.deepEqual(history, ['one false', 'one true', 'two false', 'one false', 'two true']);
  state.isCut = false;
  await pass(clock, 8_000);
  t.true(two.leadership.isLeader);
  t.false(one.leadership.isLeader);
  const closing = Promise.all([one.close(), two.close()]);
  await pass(clock, 2_000);
  await closing;
});

test('a short cut, shorter than the lease, costs nobody the leadership', async t => {
  const clock = new ManualClock();
  const { state, client } = cutting(createMemoryStore({ clock }));
  const one = candidate(client, clock, 'one');
  const history: boolean[] = [];
  one.onLeadership(({ isLeader }) => history.push(isLeader));
  one.start();
  await pass(clock, 200);
  state.isCut = true;
  await pass(clock, 2_500);
  state.isCut = false;
  await pass(clock, 10_000);
  t.deepEqual(history, [false, true]);
  const closing = one.close();
  await pass(clock, 2_000);
  await closing;
});

test('who won but never heard of it finds out', async t => {
  const clock = new ManualClock();
  const { state, client } = cutting(createMemoryStore({ clock }));
  const one = candidate(client, clock, 'one');
  state.losesNextAnswer = true;
  one.start();
  await pass(clock, 200);
  t.false(one.leadership.isLeader);
  await pass(clock, 1_000);
  t.true(one.leadership.isLeader);
  const closing = one.close();
  await pass(clock, 2_000);
  await closing;
});

test('deleting the key takes the leadership away', async t => {
  const clock = new ManualClock();
  const store = createMemoryStore({ clock });
  const one = candidate(store, clock, 'one');
  const terms: number[] = [];
  one.onLeadership(({ term }) => terms.push(term));
  one.start();
  await pass(clock, 200);
  await store.delete(KEY);
  await pass(clock, 1_000);
  t.is(terms.length, 4);
  t.deepEqual([terms[0], terms[2]], [0, 0]);
  t.true((terms[3] ?? 0) > (terms[1] ?? 0));
  const closing = one.close();
  await pass(clock, 2_000);
  await closing;
});
