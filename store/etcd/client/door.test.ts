/**
 * The client of etcd against raftsman's own etcd API: the store's contract once through the whole of it, out and in again.
 * It also takes the way that newer servers offer for watching progress, which etcd 3.4 of the other tests does not.
 */
import test from 'ava';
import { TestAuthority } from '../../../raft/transport/testing/certificates.ts';
import { open, storeContract } from '../../client/contract.ts';
import { systemClock } from '../../clock.ts';
import { TestCluster } from '../../testing/cluster.ts';
import { openEtcd } from './client.ts';

async function throughTheDoor() {
  const authority = await TestAuthority.create();
  const cluster = await TestCluster.create(await authority.issue('one'), Math.random);
  const member = await cluster.start('one', { serveEtcd: { listen: { host: '127.0.0.1', port: 0 } } });
  const store = openEtcd({
    endpoints: [`http://127.0.0.1:${member.etcdPort}`],
    clock: systemClock,
    random: Math.random,
  });
  const done = async () => {
    await store.close();
    await cluster[Symbol.asyncDispose]();
  };
  return { store: store.client, member, done };
}

storeContract(test.serial as typeof test, 'etcd API', throughTheDoor);

test.serial('etcd API: progress beyond what a watch sees is asked for, without writing anything', async t => {
  const { store, member, done } = await throughTheDoor();
  t.teardown(done);
  await using watch = open(store, { key: '/w', progressMs: 30 });
  await watch.next();
  const { revision } = await member.client.put('/elsewhere', new Uint8Array(3));
  while ((await watch.next()).revision < revision);
  t.is((await member.client.status()).revision, revision);
});
