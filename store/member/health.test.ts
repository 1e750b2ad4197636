import test from 'ava';
import { TestAuthority } from '../../raft/transport/testing/certificates.ts';
import { LOG_WRITE_STALLED_MS, READ_CHECK_MS } from '../limits.ts';
import { TestCluster } from '../testing/cluster.ts';
import { type StoreHealth, type StoreHealthCheck, storeHealth } from './health.ts';

const authority = await TestAuthority.create();

async function reasonOf({ check }: StoreHealthCheck): Promise<string | undefined> {
  try {
    await check();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** The names of the checks that fail. */
async function failing(checks: StoreHealth['live']): Promise<string[]> {
  const reasons = await Promise.all(checks.map(async check => [check.name, await reasonOf(check)] as const));
  return reasons.filter(([, reason]) => reason !== undefined).map(([name]) => name);
}

const HEALTHY = {
  status: { id: 'a', role: 'follower', leader: 'b', appendingMs: 3 },
  servingProblem: undefined,
  alarms: [],
  failure: undefined,
  isReadable: true,
} as const;

type World = {
  readonly [Name in keyof typeof HEALTHY]: (typeof HEALTHY)[Name] extends boolean ? boolean : unknown;
};

function healthIn(world: Partial<World>): StoreHealth {
  const all = { ...HEALTHY, ...world };
  return storeHealth({
    raft: {
      status: () => ({ ...HEALTHY.status, ...(world.status as object) }),
      readBarrier: async () => {
        if (!all.isReadable) throw new Error('no leader confirmed the read in time');
        return 1;
      },
    },
    // What the table below says is what these have.
    replica: { servingProblem: all.servingProblem as undefined, state: { alarms: all.alarms as [] } },
    failure: () => all.failure as undefined,
  });
}

const corrupt = (memberId: string) => [{ type: 'CORRUPT', memberId, cause: 'divergence' }];

const TABLE: readonly (readonly [what: string, Partial<World>, live: readonly string[], ready: readonly string[]])[] = [
  ['all is well', {}, [], []],
  ['no leader', { status: { leader: undefined } }, [], ['store-leader', 'store-read']],
  ['cut off, but not noticed yet', { isReadable: false }, [], ['store-read']],
  ['a learner', { status: { role: 'learner' } }, [], ['store-voter']],
  ['a slow disk', { status: { appendingMs: LOG_WRITE_STALLED_MS - 1 } }, [], []],
  ['a disk that hangs', { status: { appendingMs: LOG_WRITE_STALLED_MS + 1 } }, ['store-disk'], ['store-disk']],
  ['a disk that failed', { failure: new Error('EIO') }, ['store-disk'], ['store-disk']],
  ['data that differs', { alarms: corrupt('a'), servingProblem: 'it differs' }, [], ['store-data']],
  ['data of this member differs', { alarms: corrupt('a') }, [], ['store-data']],
  ['data of another member differs', { alarms: corrupt('b') }, [], []],
  ['no space', { alarms: [{ type: 'NOSPACE', memberId: 'a', cause: 'quota' }] }, [], []],
];

for (const [what, world, live, ready] of TABLE) {
  test(`${what}: ${live.length === 0 ? 'alive' : 'not alive'}, ${ready.length === 0 ? 'ready' : 'not ready'}`, async t => {
    const health = healthIn(world);
    t.deepEqual(await failing(health.live), [...live]);
    t.deepEqual(await failing(health.ready), [...ready]);
  });
}

test('of three members the one that is left stays alive, and is ready again when a second comes back', async t => {
  await using cluster = await TestCluster.create(await authority.issue('member'), Math.random);
  await cluster.start('one');
  await cluster.start('two');
  await cluster.start('three');
  const [one, two, three] = cluster.members;
  if (!one || !two || !three) throw new Error('three were started');
  for (const { health } of cluster.members) {
    t.deepEqual(await failing(health.live), []);
    t.deepEqual(await failing(health.ready), []);
  }
  await one.close();
  await two.close();
  const beganMs = performance.now();
  const reason = await reasonOf(three.health.ready.find(({ name }) => name === 'store-read') ?? t.fail());
  t.true(reason !== undefined);
  t.true(performance.now() - beganMs < 2 * READ_CHECK_MS, 'it says so in time');
  t.deepEqual(await failing(three.health.live), []);
  t.true((await failing(three.health.ready)).includes('store-read'));
});
