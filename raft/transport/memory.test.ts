import test from 'ava';
import { systemClock } from '../driver/system-clock.ts';
import { IGNORE, transportContract } from './contract.ts';
import { MemoryNetwork } from './memory.ts';
import { until } from './testing/until.ts';

const A = 'a'.repeat(16);
const B = 'b'.repeat(16);

transportContract(test, 'memory', async () => {
  const network = new MemoryNetwork({ clock: systemClock, random: Math.random });
  const [a, b] = [network.join(A), network.join(B)];
  return {
    a,
    b,
    aId: A,
    bId: B,
    async connect(handlers) {
      await a.start({ ...IGNORE, ...handlers.a });
      await b.start({ ...IGNORE, ...handlers.b });
      a.setPeers([{ id: B, peerAddress: 'b' }]);
      b.setPeers([{ id: A, peerAddress: 'a' }]);
    },
    until,
    async close() {
      await a.close();
      await b.close();
    },
  };
});

async function heard(configure: (network: MemoryNetwork) => void): Promise<number[]> {
  const network = new MemoryNetwork({ clock: systemClock, random: () => 0.4 });
  const [a, b] = [network.join(A), network.join(B)];
  const terms: number[] = [];
  await a.start(IGNORE);
  await b.start({ ...IGNORE, onMessage: message => terms.push(message.term) });
  a.setPeers([{ id: B, peerAddress: 'b' }]);
  configure(network);
  a.send({ type: 'timeoutNow', from: A, to: B, term: 1 });
  network.heal();
  network.faults = { loss: 0, duplication: 0, delayMsMin: 0, delayMsMax: 0 };
  a.send({ type: 'timeoutNow', from: A, to: B, term: 2 });
  await until(() => terms.includes(2));
  return terms;
}

const FAULTS = { loss: 0, duplication: 0, delayMsMin: 0, delayMsMax: 0 };

test('a lost message does not arrive', async t => {
  t.deepEqual(await heard(network => (network.faults = { ...FAULTS, loss: 0.5 })), [2]);
});

test('a doubled message arrives twice', async t => {
  t.deepEqual(await heard(network => (network.faults = { ...FAULTS, duplication: 0.5 })), [1, 1, 2]);
});

test('nothing passes a cut, in its direction', async t => {
  t.deepEqual(await heard(network => network.cut(A, B)), [2]);
  t.deepEqual(await heard(network => network.cut(B, A)), [1, 2]);
});

test('a clogged link delivers late, also what was sent on it after', async t => {
  const network = new MemoryNetwork({ clock: systemClock, random: () => 0.4 });
  const fates: string[] = [];
  network.onFate = fate => fates.push(fate);
  const [a, b] = [network.join(A), network.join(B)];
  const arrived: number[] = [];
  await a.start({ ...IGNORE, onMessage: message => arrived.push(-message.term) });
  await b.start({ ...IGNORE, onMessage: message => arrived.push(message.term) });
  a.setPeers([{ id: B, peerAddress: 'b' }]);
  b.setPeers([{ id: A, peerAddress: 'a' }]);
  network.clog(A, B, 50);
  a.send({ type: 'timeoutNow', from: A, to: B, term: 1 });
  b.send({ type: 'timeoutNow', from: B, to: A, term: 2 });
  await until(() => arrived.length === 2);
  t.deepEqual(arrived, [-2, 1]);
  t.deepEqual(fates, ['clogged']);
});

test('who stands still takes nothing in until it goes on, and then all of it in order', async t => {
  const network = new MemoryNetwork({ clock: systemClock, random: () => 0.4 });
  const { promise: opening, resolve: open } = Promise.withResolvers<void>();
  let isOpen = false;
  const [a, b] = [network.join(A), network.join(B, () => (isOpen ? undefined : opening))];
  const terms: number[] = [];
  await a.start(IGNORE);
  await b.start({ ...IGNORE, onMessage: message => terms.push(message.term), onRequest: async () => new Uint8Array() });
  a.setPeers([{ id: B, peerAddress: 'b' }]);
  for (const term of [1, 2]) a.send({ type: 'timeoutNow', from: A, to: B, term });
  const outcome = await a.request(B, 'ask', new Uint8Array(), { timeoutMs: 20 }).catch((error: Error) => error);
  t.true(outcome instanceof Error);
  t.deepEqual(terms, []);
  isOpen = true;
  open();
  await until(() => terms.length === 2);
  t.deepEqual(terms, [1, 2]);
});
