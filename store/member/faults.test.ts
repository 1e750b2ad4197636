/** What disks and accidents do to members of a store, and what is made of it: never wrong data, and puts again by itself. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { copyTo, smallDisk } from '../../raft/storage/testing/damage.ts';
import { TestAuthority } from '../../raft/transport/testing/certificates.ts';
import { freePort } from '../../raft/transport/testing/free-port.ts';
import { LevelBackend } from '../backend/level.ts';
import { bytes, text } from '../client/contract.ts';
import { systemClock } from '../clock.ts';
import { encodeImage } from '../codec/image.ts';
import { Replica } from '../replica.ts';
import { TestCluster } from '../testing/cluster.ts';
import { openStore } from './open.ts';
import type { OpenStore, OpenStoreOptions } from './options.ts';

const authority = await TestAuthority.create();
const makeCluster = async () => TestCluster.create(await authority.issue('member'), Math.random);

async function withDirectory(run: (root: string) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'raftsman-store-faults-'));
  try {
    await run(root);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

async function eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let deadline = Date.now() + 20_000; Date.now() < deadline; ) {
    if (await holds()) return;
    await new Promise(resolve => setImmediate(resolve));
  }
  throw new Error(`it did not come about: ${what}`);
}

/** Changes what a stopped member holds behind its back: a value, and the hash that would tell the others. */
async function tamper(dataDir: string): Promise<void> {
  const backend = new LevelBackend({ directory: join(dataDir, 'state') });
  const replica = new Replica({ backend, clock: systemClock, onFatal: () => {} });
  const { appliedIndex } = await replica.open();
  const { state } = replica;
  const range = state.range({ key: '/secret' });
  const [item] = range.ok ? range.value.items : [];
  if (item !== undefined) item.value[0] = (item.value[0] ?? 0) ^ 1;
  const hash = ((replica.hashAt(state.revision) ?? 0) ^ 1) >>> 0;
  const checkpoint = backend.beginCheckpoint();
  for (const chunk of encodeImage(state.image(), { appliedIndex, counters: state.counters, hash })) {
    await checkpoint.write(chunk);
  }
  await checkpoint.commit();
  await replica.close();
}

test.serial('a member that came to hold something else is found out, serves it to nobody, and is rebuilt', async t => {
  await using cluster = await makeCluster();
  const limits = { hashCheckMs: 100 };
  const raft = { heartbeatMs: 20, electionTimeoutMs: 150, compactEntries: 20, tailEntries: 5 };
  const first = await cluster.start('one', { limits, raft });
  await cluster.start('two', { limits, raft });
  const fatal: Error[] = [];
  const options = cluster.options('three', await freePort(), {
    limits,
    raft,
    beginning: { type: 'join', discover: async () => first.raft.status().membership },
    announce: member => first.raft.addMember(member),
    onFatal: error => fatal.push(error),
  });
  let third = await openStore(options);
  await first.client.put('/secret', bytes('a'));
  for (let n = 0; n < 60; n++) await first.client.put('/n', bytes(`${n}`));
  await eventually('it has caught up', async () => (await third.client.range({ key: '/secret' })).count === 1);
  await third.close();
  await tamper(options.dataDir);
  third = await openStore(options);
  await eventually('it is told to go', () => fatal.length > 0);
  t.like(fatal[0], { code: 'STORE_STATE_DIVERGED' });
  await t.throwsAsync(third.client.range({ key: '/secret', serializable: true }), { code: 'STORE_UNAVAILABLE' });
  await t.throwsAsync(third.client.put('/x', bytes('1')), { code: 'STORE_UNAVAILABLE' });
  t.throws(() => third.client.watch({ key: '/x', signal: new AbortController().signal }), {
    code: 'STORE_UNAVAILABLE',
  });
  t.like(await first.client.alarms(), [{ type: 'CORRUPT', memberId: third.identity.memberId }]);
  t.is(text((await first.client.range({ key: '/secret' })).items[0]!.value), 'a', 'the others go on');
  await third.close();
  fatal.length = 0;
  third = await openStore(options);
  await eventually('it is believed again', async () => (await third.client.alarms()).length === 0);
  t.is(text((await third.client.range({ key: '/secret' })).items[0]!.value), 'a');
  t.deepEqual(await third.client.hash(), await first.client.hash());
  t.deepEqual(fatal, []);
  const counts = cluster.members.map(member => member.hashChecks());
  t.true(counts.some(({ agreed }) => agreed > 0) && counts.some(({ differed }) => differed > 0));
  await third.close();
});

test.serial(
  'a wiped directory: the state alone is built again, the log alone is refused, both make a new member',
  async t => {
    await using cluster = await makeCluster();
    const raft = { heartbeatMs: 20, electionTimeoutMs: 150, compactEntries: 20, tailEntries: 5 };
    const first = await cluster.start('one', { raft });
    await cluster.start('two', { raft });
    const options = cluster.options('three', await freePort(), {
      raft,
      beginning: { type: 'join', discover: async () => first.raft.status().membership },
      announce: member => first.raft.addMember(member),
    });
    let third = await openStore(options);
    for (let n = 0; n < 60; n++) await first.client.put(`/${n}`, bytes(`${n}`));
    const { identity } = third;
    await third.close();
    await rm(join(options.dataDir, 'state'), { recursive: true });
    third = await openStore(options);
    await eventually('it has its state again', () => third.raft.status().appliedIndex > 60);
    t.is((await third.client.range({ key: '/', end: '0' })).count, 60);
    t.deepEqual(third.identity, identity);
    await third.close();
    await rm(join(options.dataDir, 'raft'), { recursive: true });
    await t.throwsAsync(openStore(options), { code: 'STORE_LOG_MISSING', message: /cannot know what it promised/ });
    await rm(options.dataDir, { recursive: true });
    third = await openStore({ ...options, announce: by => first.raft.replaceMember(identity.memberId, by) });
    t.not(third.identity.memberId, identity.memberId);
    t.is((await third.client.range({ key: '/', end: '0' })).count, 60);
    t.is(first.raft.status().membership.members.length, 3);
    await third.close();
  },
);

test.serial('a copy of an older day put in the place of a member’s data is refused while others remember', async t => {
  await using cluster = await makeCluster();
  const first = await cluster.start('one');
  await cluster.start('two');
  const options = cluster.options('three', await freePort(), {
    beginning: { type: 'join', discover: async () => first.raft.status().membership },
    announce: member => first.raft.addMember(member),
    // On a slow machine the others may need a moment to answer.
    raft: { heartbeatMs: 20, electionTimeoutMs: 2_000 },
  });
  const older = join(options.dataDir, '..', 'older');
  let third = await openStore(options);
  await first.client.put('/a', bytes('1'));
  await third.close();
  await copyTo(options.dataDir, older);
  third = await openStore(options);
  for (let n = 0; n < 20; n++) await third.client.put('/a', bytes(`${n}`));
  await third.close();
  await copyTo(older, options.dataDir);
  await t.throwsAsync(openStore(options), { code: 'RAFT_LOG_CORRUPT', message: /older than what others heard/ });
  await first.client.put('/a', bytes('the others go on'));
});

test.serial(
  'any member at the quota stops puts everywhere, deletes free the store, and nobody has to say so',
  async t => {
    await using cluster = await makeCluster();
    const limits = { quotaBytes: 50_000 };
    const first = await cluster.start('one', { limits });
    const second = await cluster.start('two', { limits });
    for (let n = 0; n < 9; n++) await second.client.put(`/${n}`, Buffer.alloc(5_000));
    await t.throwsAsync(second.client.put('/more', Buffer.alloc(5_000)), { code: 'STORE_QUOTA_EXCEEDED' });
    await eventually('all know', async () => (await first.client.alarms()).length === 1);
    await t.throwsAsync(first.client.put('/small', bytes('1')), { code: 'STORE_QUOTA_EXCEEDED' });
    await first.client.delete('/1');
    await eventually('it is over', async () => (await first.client.alarms()).length === 0);
    await eventually('the other knows', async () => (await second.client.alarms()).length === 0);
    await second.client.put('/small', bytes('1'));
    t.is((await first.client.range({ key: '/small' })).count, 1);
  },
);

test.serial(
  'a disk that runs full stops puts in the whole cluster, and lets them go on when it has space again',
  async t => {
    await using cluster = await makeCluster();
    const space = { freeBytes: 10 ** 9, totalBytes: 10 ** 10 };
    const limits = { diskCheckMs: 50, diskReserveBytes: 10 ** 6 };
    const first = await cluster.start('one', { limits });
    const second = await cluster.start('two', { limits, space: async () => ({ ...space }) });
    await first.client.put('/a', bytes('1'));
    space.freeBytes = 10 ** 5;
    await eventually('all know', async () => (await first.client.alarms()).length === 1);
    t.like(await first.client.alarms(), [{ type: 'NOSPACE', cause: 'disk', memberId: second.identity.memberId }]);
    for (const { client } of cluster.members) {
      await t.throwsAsync(client.put('/b', bytes('1')), { code: 'STORE_NO_SPACE', message: /nearly full/ });
    }
    await second.client.compact((await first.client.status()).revision);
    await second.client.delete('/a');
    t.is((await first.client.range({ key: '/a' })).count, 0);
    space.freeBytes = 10 ** 9;
    await eventually('it is over', async () => (await first.client.alarms()).length === 0);
    await first.client.put('/b', bytes('1'));
  },
);

test.serial(
  'on a small real disk: puts stop before it is full, deletes go on, space makes puts possible again',
  async t => {
    await using cluster = await makeCluster();
    await withDirectory(async root => {
      const disk = await smallDisk(join(root, 'disk'), 64 * 1024 * 1024);
      if (disk === undefined) {
        t.log('skipped: making a small file system needs root');
        t.pass();
        return;
      }
      const fatal: Error[] = [];
      const options: OpenStoreOptions = {
        ...cluster.options('one', await freePort()),
        dataDir: join(disk.path, 'data'),
        limits: { diskCheckMs: 20, diskReserveBytes: 16 * 1024 * 1024 },
        onFatal: error => fatal.push(error),
      };
      let member: OpenStore | undefined = await openStore(options);
      try {
        let acknowledged = 0;
        const error = await t.throwsAsync(async () => {
          for (let n = 0; n < 2_000; n++) {
            await member?.client.put(`/${n}`, randomBytes(50_000));
            acknowledged = n + 1;
          }
        });
        t.like(error, { code: 'STORE_NO_SPACE' });
        t.true(acknowledged > 10);
        await member.client.delete('/0');
        t.is((await member.client.range({ key: '/', end: '0', countOnly: true })).count, acknowledged - 1);
        t.deepEqual(fatal, []);
        await member.close();
        member = undefined;
        // No space at all: it waits at its start, and starts by itself.
        await disk.fill(1024 * 1024);
        const said: string[] = [];
        const say = (_: object, message: string) => void said.push(message);
        const opening = openStore({ ...options, logger: { debug() {}, info() {}, warn() {}, error: say } });
        await eventually('it says what it waits for', () => said.length > 0);
        t.regex(said[0] ?? '', /starts by itself/);
        await disk.free();
        member = await opening;
        t.is((await member.client.range({ key: '/', end: '0', countOnly: true })).count, acknowledged - 1);
      } finally {
        await member?.close();
        await disk.end();
      }
    });
  },
);
