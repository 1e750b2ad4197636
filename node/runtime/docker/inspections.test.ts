import test from 'ava';
import type Dockerode from 'dockerode';
import type { Clock } from '../clock.ts';
import { Inspections } from './inspections.ts';
import { inspectPatienceMs } from './limits.ts';

/** A clock whose every wait is told, and over when the test says so. */
function steppedClock() {
  const waits: { delayMs: number; fire: () => void }[] = [];
  const clock: Clock = {
    now: () => 0,
    setTimeout: (fire, delayMs) => {
      const wait = { delayMs, fire };
      waits.push(wait);
      return () => void waits.splice(waits.indexOf(wait), 1);
    },
  };
  return { clock, waits };
}
const turn = () => new Promise<void>(resolve => setImmediate(resolve));
const info = { Id: 'c', Image: 'i', Created: '', State: { Status: 'exited', Pid: 0, ExitCode: 3, Error: '' } };

test('an inspection without an answer is looked after, again and again, until there is one', async t => {
  const answer = Promise.withResolvers<unknown>();
  const docker = { getContainer: () => ({ inspect: () => answer.promise }) } as unknown as Dockerode;
  const { clock, waits } = steppedClock();
  const looked: string[] = [];
  const endLeftBehind = async (id: string) => {
    looked.push(id);
    if (looked.length === 1) throw new Error('no /proc');
    return 1;
  };
  const inspections = new Inspections(docker, { clock, endLeftBehind });
  const inspecting = inspections.inspect('c', 'running');
  for (const count of [1, 2]) {
    await turn();
    t.deepEqual(
      waits.map(({ delayMs }) => delayMs),
      [inspectPatienceMs],
    );
    waits.shift()?.fire();
    await turn();
    t.is(looked.length, count);
  }
  answer.resolve(info);
  t.is((await inspecting)?.exitCode, 3);
  await turn();
  t.deepEqual(waits, []);
  t.deepEqual(looked, ['c', 'c']);
});

test('what is being started or removed may take its time', async t => {
  const docker = { getContainer: () => ({ inspect: async () => info }) } as unknown as Dockerode;
  const { clock, waits } = steppedClock();
  const inspections = new Inspections(docker, { clock, endLeftBehind: async () => 0 });
  const inspecting = inspections.inspect('c', 'created');
  t.deepEqual(waits, []);
  t.is((await inspecting)?.exitCode, 3);
});
