/** The short form of what agent-kills.ts does at length. */
import { testWith } from '../helpers/requirements.ts';
import { agentKills } from './agent-kills.ts';

for (const runtime of ['docker', 'native'] as const) {
  const needs =
    runtime === 'docker' ? (['root', 'docker', 'iproute2', 'busybox'] as const) : (['root', 'iproute2'] as const);
  testWith(needs)(`an agent on ${runtime} that is killed again and again disturbs no container`, async t => {
    t.timeout(400_000);
    const problems = await agentKills({ runtime, kills: 12, seed: 1, print: line => t.log(line) });
    t.deepEqual(problems, []);
  });
}
