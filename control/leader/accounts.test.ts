import test from 'ava';
import { CONTROLLER_MANAGER, controllerUser, leaderUser, MASTER, SCHEDULER } from './accounts.ts';

test('the leader’s thread acts as the scheduler, the controller manager and the controllers, and as nobody else', t => {
  for (const account of [SCHEDULER, CONTROLLER_MANAGER, controllerUser('job-controller')]) {
    t.deepEqual(leaderUser(account.user), account);
  }
  for (const name of [MASTER.user, 'system:admin', 'system:serviceaccount:default:job-controller', '']) {
    t.throws(() => leaderUser(name), { instanceOf: RangeError }, name);
  }
});
