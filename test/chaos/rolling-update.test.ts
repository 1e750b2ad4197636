/** The short form of what rolling-update.ts does at length. */
import { testWith } from '../helpers/requirements.ts';
import { rollingUpdates } from './rolling-update.ts';

testWith([])('a rolling update whose leader is killed in the middle ends right', async t => {
  t.timeout(600_000);
  const problems = await rollingUpdates({ pods: 100, times: 2, nodes: 3, print: line => t.log(line) });
  t.deepEqual(problems, []);
});
