import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { TestAuthority } from '../../raft/transport/testing/certificates.ts';
import { freePort } from '../../raft/transport/testing/free-port.ts';
import { bytes, text } from '../client/contract.ts';
import { connectStore, EmbedError, type EmbedOptions, embedStore } from './embed.ts';
import type { OpenStore } from './options.ts';

async function place(options: Partial<EmbedOptions> = {}): Promise<EmbedOptions> {
  const dataDir = await mkdtemp(join(tmpdir(), 'raftsman-embed-'));
  const [listen, peerListen] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
  return { dataDir, listen, peerListen, raft: { heartbeatMs: 20, electionTimeoutMs: 150 }, ...options };
}

const authority = await TestAuthority.create();

for (const secured of [false, true]) {
  test(`three members find each other by address, ${secured ? 'with TLS' : 'in plain text'}`, async t => {
    const tls = secured ? { tls: await authority.issue('member') } : {};
    const places = [await place(tls), await place(tls), await place(tls)];
    const addresses = places.map(({ listen }) => listen);
    const members: OpenStore[] = [];
    // The second is named a member that is not there, and itself, too.
    const joins = [undefined, addresses, [addresses[1] ?? '']];
    for (const [number, one] of places.entries()) {
      const join = joins[number];
      members.push(await embedStore({ ...one, ...(join && { join: [...join] }) }));
    }
    t.is(members[0]?.raft.status().membership.members.filter(({ role }) => role === 'voter').length, 3);
    await members[1]?.client.put('/a', bytes('1'));
    const remote = connectStore({ addresses, ...tls });
    t.is(text((await remote.range({ key: '/a' })).items[0]?.value ?? bytes('')), '1');
    await remote.close();

    // Back without being told whom to join: the directory knows.
    await members[2]?.close();
    const back = await embedStore(places[2] ?? t.fail());
    t.is(text((await back.client.range({ key: '/a' })).items[0]?.value ?? bytes('')), '1');
    t.is(back.identity.memberId, members[2]?.identity.memberId);
    for (const member of [back, members[1], members[0]]) await member?.close();
    for (const { dataDir } of places) await rm(dataDir, { recursive: true });
  });
}

test('nobody to join is told in time, and leaves no cluster behind', async t => {
  const one = await place({ join: [`127.0.0.1:${await freePort()}`], joinTimeoutMs: 300 });
  await t.throwsAsync(embedStore(one), { code: 'STORE_UNAVAILABLE' });
  // The directory has not become a cluster of its own: it still has to be told whom to join.
  await t.throwsAsync(embedStore(one), { code: 'STORE_UNAVAILABLE' });
  await rm(one.dataDir, { recursive: true });
});

const REFUSED: readonly (readonly [what: string, Partial<EmbedOptions>, message: RegExp])[] = [
  ['an address without a port', { listen: '127.0.0.1' }, /host:port/],
  ['a port that cannot be', { listen: '127.0.0.1:70000' }, /host:port/],
  ['plain text that others reach', { listen: '10.0.0.1:7001' }, /allowPlainText/],
  ['plain text on all addresses', { listen: '0.0.0.0:7001', advertiseHost: '10.0.0.1' }, /allowPlainText/],
  ['an address that nobody can dial', { listen: '0.0.0.0:7001', allowPlainText: true }, /advertiseHost/],
  ['a member to join that is no address', { join: ['seven'] }, /join must be host:port/],
];
for (const [what, options, message] of REFUSED) {
  test(`${what} is refused, with a word on what to do`, async t => {
    const one = await place();
    const { peerListen: _, ...rest } = one;
    await t.throwsAsync(embedStore({ ...rest, ...options }), { instanceOf: EmbedError, message });
    await rm(one.dataDir, { recursive: true });
  });
}
