import test from 'ava';
import type { Pod } from '../api.ts';
import { type Missing, noRoomMessage, planPreemption } from './preemption.ts';

const KiB = 1024;

/** What a pod asks for: thousandths of a core and kibibytes; Guaranteed where its limits are the same. */
function podOf(name: string, [milli, kibibytes]: readonly [number, number], isGuaranteed = false): Pod {
  const amounts = { ...(milli > 0 && { cpu: `${milli}m` }), ...(kibibytes > 0 && { memory: `${kibibytes}Ki` }) };
  return {
    metadata: { name },
    spec: { containers: [{ name: 'c', resources: { requests: amounts, ...(isGuaranteed && { limits: amounts }) } }] },
  };
}
const cpu = (quantity: number): Missing => ({ name: 'cpu', key: 'cpuMilli', quantity });
const memory = (kibibytes: number): Missing => ({ name: 'memory', key: 'memoryBytes', quantity: kibibytes * KiB });
const places = (quantity: number): Missing => ({ name: 'pods', key: 'pods', quantity });

const best = (name: string) => podOf(name, [0, 0]);
const small = podOf('small', [100, 100]);
const medium = podOf('medium', [500, 100]);
const large = podOf('large', [900, 100]);
const fat = podOf('fat', [100, 900]);
const fixed = podOf('fixed', [500, 500], true);
const fixedLarge = podOf('fixed-large', [900, 900], true);

const CASES: readonly (readonly [string, readonly Missing[], readonly Pod[], readonly string[] | undefined])[] = [
  ['nothing is missing', [], [small], []],
  ['nobody is there', [cpu(1)], [], undefined],
  ['all together are not enough', [cpu(2000)], [small, medium, large], undefined],
  ['one that is enough, the smaller of those', [cpu(400)], [large, medium, small], ['medium']],
  ['fewest pods: the nearest first', [cpu(950)], [small, medium, large], ['large', 'small']],
  ['lesser classes first, even if they are more', [cpu(550)], [fixedLarge, medium, small], ['medium', 'small']],
  [
    'guaranteed ones only for what the others cannot give',
    [cpu(1000)],
    [fixedLarge, fixed, medium, small],
    ['medium', 'fixed'],
  ],
  ['two things at once', [cpu(800), memory(800)], [small, medium, large, fat], ['large', 'fat']],
  [
    'a guaranteed one that is needed spares the others',
    [cpu(400), memory(400)],
    [small, medium, fixed, fixedLarge],
    ['fixed'],
  ],
  ['a place: one that asked for nothing', [places(1)], [fixed, medium, best('x')], ['x']],
  ['two places', [places(2)], [fixed, medium, best('x')], ['x', 'medium']],
  ['what asked for nothing gives no processor', [cpu(50)], [best('x'), small], ['small']],
];
for (const [title, missing, pods, expected] of CASES)
  test(`who makes room: ${title}`, t => {
    t.deepEqual(
      planPreemption(missing, pods)?.map(({ metadata }) => metadata?.name),
      expected && [...expected],
    );
  });

test('what is said where there is no room to be made', t => {
  t.regex(noRoomMessage([cpu(200), memory(1)], [small]), /reclaim resources: \[\(res: cpu, q: 100\), \]$/);
});
