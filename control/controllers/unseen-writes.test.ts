import test from 'ava';
import type { ReplicaSet } from '../api/generated/types.ts';
import type { Cache } from '../client/informer.ts';
import { ManualClock } from '../client/testing/manual-clock.ts';
import { UNSEEN_WRITE_MS_MAX } from './limits.ts';
import { UnseenWrites } from './unseen-writes.ts';

const set = (name: string, resourceVersion: number): ReplicaSet => ({
  metadata: { namespace: 'n', name, resourceVersion: String(resourceVersion) },
});

function world() {
  const clock = new ManualClock();
  const seen = new Map<string, ReplicaSet>();
  const cache: Cache<ReplicaSet> = {
    get: key => seen.get(key),
    list: () => [...seen.values()],
    byIndex: () => [],
    get size() {
      return seen.size;
    },
  };
  const writes = new UnseenWrites(cache, clock);
  return { clock, writes, see: (object: ReplicaSet) => seen.set(`n/${object.metadata?.name}`, object) };
}

test('who has written waits until the cache shows all of it, whichever comes first', t => {
  const { writes, see } = world();
  t.is(writes.waitMs('owner'), undefined);
  see(set('a', 3));
  writes.wrote('owner', set('a', 5));
  writes.wrote('owner', set('b', 9));
  t.not(writes.waitMs('owner'), undefined);
  t.is(writes.waitMs('other'), undefined);
  see(set('a', 5));
  t.not(writes.waitMs('owner'), undefined, 'b has not been seen');
  see(set('b', 12));
  t.is(writes.waitMs('owner'), undefined, 'somebody has written b since');
  see(set('c', 20));
  writes.wrote('owner', set('c', 20));
  t.is(writes.waitMs('owner'), undefined, 'the watch was quicker than the answer');
});

test('what never shows is given up, and a forgotten owner waits for nothing', async t => {
  const { clock, writes } = world();
  writes.wrote('owner', set('a', 5));
  t.is(writes.waitMs('owner'), UNSEEN_WRITE_MS_MAX);
  await clock.advance(UNSEEN_WRITE_MS_MAX);
  t.is(writes.waitMs('owner'), undefined);
  writes.wrote('owner', set('a', 6));
  writes.forget('owner');
  t.is(writes.waitMs('owner'), undefined);
});
