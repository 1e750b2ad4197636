/** Tokens of service accounts: kept, renewed in time, and kept on while they cannot be. */
import test from 'ava';
import type { Client, Pod, TokenRequest } from '../api.ts';
import { systemClock } from '../clock.ts';
import { SourceError, Sources } from './sources.ts';

const HOUR_MS = 3_607_000;
const pod: Pod = {
  metadata: { name: 'web', namespace: 'ns', uid: 'u1' },
  spec: { serviceAccountName: 'robot', containers: [] },
};
const wish = { audience: '', expirationSeconds: 3607 };

/** An API that numbers its tokens, or fails; and a clock that is moved by hand. */
function setup() {
  const state = { now: 1_000_000, isAway: false, asked: [] as TokenRequest[] };
  const createSubresource = async (_kind: unknown, path: object, subresource: string, body: TokenRequest) => {
    if (state.isAway) throw new Error('connection refused');
    state.asked.push({ ...body, ...path, kind: subresource });
    const expirationTimestamp = new Date(state.now + HOUR_MS).toISOString();
    return { ...body, status: { token: `token-${state.asked.length}`, expirationTimestamp } };
  };
  // Only what tokens need of a client.
  const client = { createSubresource } as unknown as Client;
  const sources = new Sources({ client, clock: { ...systemClock, now: () => state.now } });
  return { state, sources };
}

test('a token is asked for once, bound to the pod, and renewed after four fifths of its life', async t => {
  const { state, sources } = setup();
  t.is(await sources.token(pod, wish), 'token-1');
  t.like(state.asked[0], { name: 'robot', namespace: 'ns', kind: 'token' });
  t.deepEqual(state.asked[0]?.spec, {
    audiences: [],
    expirationSeconds: 3607,
    boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'web', uid: 'u1' },
  });
  state.now += HOUR_MS * 0.79;
  t.is(await sources.token(pod, wish), 'token-1');
  state.now += HOUR_MS * 0.02;
  t.is(await sources.token(pod, wish), 'token-2');
  t.is(await sources.token(pod, { ...wish, audience: 'vault' }), 'token-3');
});

test('while the API is away an old token does as long as it holds', async t => {
  const { state, sources } = setup();
  await sources.token(pod, wish);
  state.isAway = true;
  state.now += HOUR_MS * 0.9;
  t.is(await sources.token(pod, wish), 'token-1');
  state.now += HOUR_MS * 0.2;
  await t.throwsAsync(sources.token(pod, wish), { instanceOf: SourceError, message: /connection refused/ });
  state.isAway = false;
  t.is(await sources.token(pod, wish), 'token-2');
});

test('a pod that is gone leaves no token behind', async t => {
  const { sources } = setup();
  t.is(await sources.token(pod, wish), 'token-1');
  sources.forget('u1');
  t.is(await sources.token(pod, wish), 'token-2');
});
