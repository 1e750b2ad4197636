import test from 'ava';
import { TestAuthority } from '../raft/transport/testing/certificates.ts';
import type { StoreClient } from './client/client.ts';
import { systemClock } from './clock.ts';
import { RemoteClient } from './remote/client.ts';
import { TestCluster } from './testing/cluster.ts';
import { type Begun, HistoryRecorder, type KeyValueInput, keyValueModel } from './testing/key-value-model.ts';
import { checkLinearizable } from './testing/linearizability.ts';

const bytes = (text: string) => Buffer.from(text);

/** Carries out one operation and answers as the model does. */
async function perform(store: StoreClient, input: KeyValueInput): Promise<string | boolean | undefined> {
  switch (input.type) {
    case 'get': {
      const { items } = await store.range({ key: input.key });
      return items[0] === undefined ? undefined : Buffer.from(items[0].value).toString();
    }
    case 'put':
      await store.put(input.key, bytes(input.value));
      return undefined;
    case 'delete':
      await store.delete(input.key);
      return undefined;
    case 'compareAndSet': {
      const { key, expected } = input;
      const compare =
        expected === undefined
          ? ({ key, target: 'version', op: '=', value: 0 } as const)
          : ({ key, target: 'value', op: '=', value: bytes(expected) } as const);
      const then = [{ type: 'put', key, value: bytes(input.value) }] as const;
      return (await store.transaction({ compare: [compare], then })).succeeded;
    }
  }
}

/** A write whose outcome is unknown stays open in the history; one that was certainly not done leaves it. */
function failed(begun: Begun, input: KeyValueInput, error: unknown): void {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'STORE_UNAVAILABLE') begun.notDone();
  else if (code !== 'STORE_UNKNOWN_OUTCOME' || input.type === 'get') throw error;
}

test('what clients of all members see while leadership moves and the leader is lost is linearizable', async t => {
  const tls = await (await TestAuthority.create()).issue('member');
  await using cluster = await TestCluster.create(tls, Math.random);
  for (const name of ['one', 'two', 'three']) await cluster.start(name);
  const remote = new RemoteClient({ urls: cluster.urls(), tls, clock: systemClock, random: Math.random });
  const recorder = new HistoryRecorder();
  let isDone = false;
  let lastValue = 0;
  const keys = ['/x', '/y', '/z'];
  const known = new Map<string, string | undefined>();
  const client = async (store: StoreClient, salt: number) => {
    for (let n = salt; !isDone; n++) {
      const key = keys[n % keys.length] ?? '/x';
      const value = `${++lastValue}`;
      const inputs: KeyValueInput[] = [
        { type: 'get', key },
        { type: 'put', key, value },
        { type: 'get', key },
        { type: 'compareAndSet', key, expected: known.get(key), value },
        { type: 'delete', key },
      ];
      const input = inputs[(n * 7 + salt) % inputs.length] ?? { type: 'get', key };
      const begun = recorder.begin(input);
      try {
        const output = await perform(store, input);
        begun.returned(output);
        if (input.type === 'get' && typeof output !== 'boolean') known.set(key, output);
      } catch (error) {
        failed(begun, input, error);
      }
    }
  };
  const stores = [...cluster.members.map(member => member.client), remote];
  const [victim, ...survivors] = cluster.members;
  // The clients of the member that is going to be lost end with it.
  const clients = stores.slice(1).flatMap((store, at) => [client(store, at), client(store, at + 10)]);
  for (let round = 0; round < 4; round++) {
    const before = recorder.history.length;
    const target = cluster.members[round % cluster.members.length];
    await remote.status();
    await survivors[0]!.raft.transferLeadership(target!.identity.memberId).catch(() => {});
    await waitFor(() => recorder.history.length > before + 150);
  }
  await survivors[0]!.raft.transferLeadership(victim!.identity.memberId).catch(() => {});
  cluster.members.shift();
  await victim!.close();
  const before = recorder.history.length;
  await waitFor(() => recorder.history.length > before + 150);
  isDone = true;
  await Promise.all(clients);
  await remote.close();
  const { history } = recorder;
  t.true(history.length > 600);
  t.is(checkLinearizable(history, keyValueModel).type, 'linearizable');
});

async function waitFor(condition: () => boolean): Promise<void> {
  for (let deadline = Date.now() + 30_000; !condition(); ) {
    if (Date.now() > deadline) throw new Error('the clients made no progress');
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}
