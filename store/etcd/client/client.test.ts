/** The client of a real etcd: the same contract that our own stores pass, and what is etcd's alone. */
import test, { type ImplementationFn } from 'ava';
import { storeContract } from '../../client/contract.ts';
import { watchContract } from '../../client/watch-contract.ts';
import { systemClock } from '../../clock.ts';
import { findEtcd, TestEtcd } from '../../testing/etcd.ts';
import { openEtcd } from './client.ts';

const program = findEtcd();
/** A test, or a skipped one whose title says what is missing. All use one etcd, so they run one after the other. */
function etcdTest(title: string, run: ImplementationFn<[]>): void {
  if (program === undefined) test.skip(`${title} (needs etcd on the PATH or in RAFTSMAN_ETCD)`, run);
  else test.serial(title, run);
}

let etcd: TestEtcd;
test.before(async () => {
  if (program !== undefined) etcd = await TestEtcd.start(program);
});
test.after.always(() => etcd?.stop());

let spaces = 0;
function open() {
  return openEtcd({
    endpoints: etcd.endpoints,
    prefix: `/test/${++spaces}`,
    clock: systemClock,
    random: Math.random,
  });
}

const make = async () => {
  const store = open();
  return { store: store.client, done: () => store.close() };
};
storeContract(etcdTest as typeof test, 'etcd', make);
watchContract(etcdTest as typeof test, 'etcd', make, { keepsCompactedDeletion: false });
