import { Metadata, status } from '@grpc/grpc-js';
import test from 'ava';
import { decodeLogged } from '../codec/command.ts';
import { TOKEN_LIFE_MS } from './limits.ts';
import { PERMISSION_READ_WRITE } from './proto/auth.ts';
import { Auth, KV, Lease, Maintenance, Watch } from './proto/services.ts';
import { makeDoor } from './testing/door.ts';

const b = (text: string) => Buffer.from(text);
const failing = (code: number, details: string) => ({ message: `${code} ${status[code]}: etcdserver: ${details}` });
const DENIED = failing(status.PERMISSION_DENIED, 'permission denied');
const INVALID_TOKEN = failing(status.UNAUTHENTICATED, 'invalid auth token');

/** A store with root and bob, who may do everything with keys that begin with b; authentication is on. */
async function makeGuarded(options: Parameters<typeof makeDoor>[0] = {}) {
  const door = await makeDoor(options);
  const { etcd } = door;
  for (const name of ['root', 'bob']) await etcd.call(Auth.userAdd, { name, password: `${name}'s` });
  await etcd.call(Auth.roleAdd, { name: 'r' });
  const perm = { permType: PERMISSION_READ_WRITE, key: b('b'), rangeEnd: b('c') };
  await etcd.call(Auth.roleGrantPermission, { name: 'r', perm });
  await etcd.call(Auth.userGrantRole, { user: 'bob', role: 'r' });
  await etcd.call(Auth.userGrantRole, { user: 'root', role: 'root' });
  await etcd.call(Auth.authEnable, {});
  const as = async (name: string, password = `${name}'s`) => {
    const metadata = new Metadata();
    metadata.set('token', (await etcd.call(Auth.authenticate, { name, password })).token);
    return { metadata };
  };
  return { door, as, root: await as('root'), bob: await as('bob') };
}

/** What is proposed from now on. */
function followed(raft: Awaited<ReturnType<typeof makeDoor>>['raft']) {
  const types: string[] = [];
  const waiting: { readonly count: number; readonly resolve: () => void }[] = [];
  const propose = raft.propose.bind(raft);
  raft.propose = data => {
    types.push(decodeLogged(data).command.type);
    for (const { count, resolve } of waiting) if (types.length >= count) resolve();
    return propose(data);
  };
  const until = (count: number) =>
    new Promise<void>(resolve => {
      if (types.length >= count) resolve();
      else waiting.push({ count, resolve });
    });
  return { types, until };
}

test('a permission is gone as soon as its revocation was answered, and back as soon as it is granted', async t => {
  const { door, root, bob } = await makeGuarded();
  await using _ = door;
  const { etcd } = door;
  await etcd.call(KV.put, { key: b('b1'), value: b('1') }, bob);
  t.is((await etcd.call(KV.range, { key: b('b1') }, bob)).count, 1);
  await etcd.call(Auth.userRevokeRole, { user: 'bob', role: 'r' }, root);
  await t.throwsAsync(etcd.call(KV.range, { key: b('b1') }, bob), DENIED);
  await t.throwsAsync(etcd.call(KV.range, { key: b('b1'), serializable: true }, bob), DENIED);
  await t.throwsAsync(etcd.call(KV.put, { key: b('b1') }, bob), DENIED);
  await etcd.call(Auth.userGrantRole, { user: 'bob', role: 'r' }, root);
  t.is((await etcd.call(KV.deleteRange, { key: b('b1'), prevKv: true }, bob)).prevKvs.length, 1);
});

test('a write that was checked before a revocation and applied after it is refused', async t => {
  const { door, root, bob } = await makeGuarded();
  await using _ = door;
  const { etcd, raft, store } = door;
  raft.hold();
  const proposals = followed(raft);
  const revoked = etcd.call(Auth.userRevokeRole, { user: 'bob', role: 'r' }, root);
  await proposals.until(1);
  const outcome = t.throwsAsync(etcd.call(KV.put, { key: b('b1') }, bob), DENIED);
  await proposals.until(2);
  t.deepEqual(proposals.types, ['auth', 'transaction']);
  raft.release();
  await revoked;
  await outcome;
  t.is((await store.range({ key: 'b1' })).count, 0);
});

test('a write that stays permitted is done though users changed while it was under way', async t => {
  const { door, root, bob } = await makeGuarded();
  await using _ = door;
  const { etcd, raft, store } = door;
  raft.hold();
  const proposals = followed(raft);
  const added = etcd.call(Auth.roleAdd, { name: 'another' }, root);
  await proposals.until(1);
  const written = etcd.call(KV.put, { key: b('b1') }, bob);
  await proposals.until(2);
  raft.release();
  await added;
  await written;
  t.deepEqual(proposals.types, ['auth', 'transaction', 'transaction']);
  t.is((await store.range({ key: 'b1' })).count, 1);
});

test('a token ends with its time, with the password, with its user, and when authentication is turned on anew', async t => {
  let nowMs = 1_000_000;
  const { door, as, root } = await makeGuarded({ wallClock: () => new Date(nowMs) });
  await using _ = door;
  const { etcd } = door;
  const read = (caller: Awaited<ReturnType<typeof as>>) => etcd.call(KV.range, { key: b('b') }, caller);
  const first = await as('bob');
  nowMs += TOKEN_LIFE_MS - 1;
  await t.notThrowsAsync(read(first));
  nowMs += 1;
  await t.throwsAsync(read(first), INVALID_TOKEN);
  const again = await as('root');
  const second = await as('bob');
  await etcd.call(Auth.userChangePassword, { name: 'bob', password: 'new' }, again);
  await t.throwsAsync(read(second), INVALID_TOKEN);
  await t.throwsAsync(
    as('bob'),
    failing(status.INVALID_ARGUMENT, 'authentication failed, invalid user ID or password'),
  );
  const third = await as('bob', 'new');
  await etcd.call(Auth.userDelete, { name: 'bob' }, again);
  await t.throwsAsync(read(third), INVALID_TOKEN);
  // Somebody else who has the name is not the one who got the token.
  await etcd.call(Auth.userAdd, { name: 'bob', password: 'new' }, again);
  await t.throwsAsync(read(third), INVALID_TOKEN);
  await etcd.call(Auth.authDisable, {}, again);
  await t.notThrowsAsync(read(third));
  await etcd.call(Auth.authEnable, {});
  await t.throwsAsync(read(again), INVALID_TOKEN);
  await t.throwsAsync(read(root), INVALID_TOKEN);
  const forged = new Metadata();
  forged.set('token', `${Buffer.from('99999999999999:2:root').toString('base64url')}.x`);
  await t.throwsAsync(read({ metadata: forged }), INVALID_TOKEN);
});

test('who has no token is nobody: most is refused, what says nothing of keys is not', async t => {
  const { door, root, bob } = await makeGuarded();
  await using _ = door;
  const { etcd } = door;
  const nobody = failing(status.INVALID_ARGUMENT, 'user name is empty');
  await t.throwsAsync(etcd.call(KV.range, { key: b('b') }), nobody);
  await t.throwsAsync(etcd.call(KV.put, { key: b('b') }), nobody);
  await t.throwsAsync(etcd.call(KV.txn, { success: [{ requestRange: { key: b('b') } }] }), nobody);
  await t.throwsAsync(etcd.call(Auth.userList, {}), nobody);
  await t.throwsAsync(etcd.call(Maintenance.hashKv, {}), nobody);
  await t.throwsAsync(etcd.call(Auth.authStatus, {}, bob), DENIED);
  t.like(await etcd.call(Auth.authStatus, {}, root), { enabled: true, authRevision: 7 });
  await t.notThrowsAsync(etcd.call(Maintenance.status, {}));
});

test('every operation of a transaction counts, however deep, and so does what is compared or given back', async t => {
  const { door, bob } = await makeGuarded();
  await using _ = door;
  const { etcd } = door;
  const own = { requestPut: { key: b('b') } };
  const denied = [
    { compare: [{ key: b('secret') }], success: [own] },
    { compare: [{ key: b('b'), rangeEnd: b('d') }], success: [own] },
    { success: [own, { requestRange: { key: b('secret') } }] },
    { success: [own], failure: [{ requestDeleteRange: { key: b('secret') } }] },
    { success: [{ requestTxn: { success: [own], failure: [{ requestPut: { key: b('secret') } }] } }] },
    { success: [{ requestTxn: { compare: [{ key: b('secret') }], success: [own] } }] },
  ];
  for (const request of denied) await t.throwsAsync(etcd.call(KV.txn, request, bob), DENIED, JSON.stringify(request));
  await t.notThrowsAsync(etcd.call(KV.txn, { compare: [{ key: b('b') }], success: [own], failure: [own] }, bob));
});

test('a watch ends when its range may not be read any more', async t => {
  const { door, root, bob } = await makeGuarded();
  await using _ = door;
  const { etcd } = door;
  const reason = 'rpc error: code = PermissionDenied desc = etcdserver: permission denied';
  const stream = etcd.stream(Watch.watch, bob.metadata);
  stream.send({ createRequest: { key: b('secret') } });
  t.like(await stream.next(), { created: true, canceled: true, cancelReason: reason });
  stream.send({ createRequest: { key: b('b'), rangeEnd: b('\0') } });
  t.like(await stream.next(), { created: true, canceled: true, cancelReason: reason });
  stream.send({ createRequest: { key: b('b'), rangeEnd: b('c') } });
  t.like(await stream.next(), { created: true, canceled: false });
  await etcd.call(KV.put, { key: b('b1') }, root);
  t.is((await stream.next()).events.length, 1);
  await etcd.call(Auth.userRevokeRole, { user: 'bob', role: 'r' }, root);
  await etcd.call(KV.put, { key: b('b2') }, root);
  t.like(await stream.next(), { canceled: true, cancelReason: reason, events: [] });
  stream.cancel();
});

test('the keys on a lease count for who revokes it, puts with it or looks at it', async t => {
  const { door, root, bob } = await makeGuarded();
  await using _ = door;
  const { etcd } = door;
  const { id } = await etcd.call(Lease.leaseGrant, { ttl: 600 }, bob);
  await etcd.call(KV.put, { key: b('b1'), lease: id }, bob);
  t.is((await etcd.call(Lease.leaseTimeToLive, { id, keys: true }, bob)).keys.length, 1);
  await etcd.call(KV.put, { key: b('secret'), lease: id }, root);
  await t.throwsAsync(etcd.call(Lease.leaseTimeToLive, { id, keys: true }, bob), DENIED);
  await t.throwsAsync(etcd.call(KV.put, { key: b('b2'), lease: id }, bob), DENIED);
  await t.throwsAsync(etcd.call(Lease.leaseRevoke, { id }, bob), DENIED);
  await t.notThrowsAsync(etcd.call(Lease.leaseRevoke, { id }, root));
});

test('passwords are in the state as salted hashes only', async t => {
  const { door } = await makeGuarded();
  await using _ = door;
  const { auth } = door.replica.state;
  const hashes = ['root', 'bob'].map(name => auth.user(name)?.password ?? '');
  for (const hash of hashes) t.regex(hash, /^scrypt:16384:8:[\w+/=]{24}:[\w+/=]{44}$/);
  t.false(JSON.stringify(door.replica.state.image().auth).includes("bob's"));
});
