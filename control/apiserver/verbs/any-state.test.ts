/** Reads that take any state (`resourceVersion=0`): the newest where it is quickly had, else what is at hand. */
import test from 'ava';
import { createMemoryStore, type StoreClient, type WatchRequest } from '../../../store/index.ts';
import { createHarness } from '../testing/harness.ts';

const PATH = '/api/v1/namespaces/default/configmaps';
const LAG_MS = 60;

/** A store whose watches tell late, as those of a master that lags. */
function lagging(store: StoreClient): StoreClient {
  return new Proxy(store, {
    get(target, name) {
      if (name !== 'watch') {
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      }
      return async function* (request: WatchRequest) {
        for await (const batch of target.watch(request)) {
          await new Promise(resolve => setTimeout(resolve, LAG_MS));
          yield batch;
        }
      };
    },
  });
}

test('what one master acknowledged, another that lags does not deny', async t => {
  const memory = createMemoryStore();
  const quick = await createHarness({ memory });
  const slow = await createHarness({ memory, overrides: { store: lagging(memory) } });
  t.teardown(() => Promise.all([quick.close(), slow.close()]));
  t.is(
    (await quick.call('POST', PATH, { body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' } } })).status,
    201,
  );
  const { body } = await slow.call('GET', `${PATH}?resourceVersion=0&fieldSelector=metadata.name%3Dc`);
  t.is(body.items.length, 1);
});

test('without a quorum the state at hand is the answer', async t => {
  const memory = createMemoryStore();
  const quick = await createHarness({ memory });
  t.is(
    (await quick.call('POST', PATH, { body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' } } })).status,
    201,
  );
  let isCutOff = false;
  const cutOff: StoreClient = new Proxy(memory as StoreClient, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => (isCutOff && name === 'range' ? new Promise(() => {}) : value.apply(target, args));
    },
  });
  const alone = await createHarness({ memory, overrides: { store: cutOff } });
  t.teardown(() => Promise.all([quick.close(), alone.close()]));
  t.is((await alone.call('GET', PATH)).body.items.length, 1);
  isCutOff = true;
  t.is((await alone.call('GET', `${PATH}?resourceVersion=0`)).body.items.length, 1);
});
