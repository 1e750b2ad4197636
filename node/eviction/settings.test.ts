import test from 'ava';
import { describeEviction, type EvictionOptions, EvictionSettingsError, evictionSettings } from './settings.ts';

test('thresholds as they are written', t => {
  const { thresholds, softGraceSecondsMax } = evictionSettings({
    hard: 'nodefs.available<10%,memory.available<100Mi',
    soft: 'memory.available<1Gi',
    softGraceMs: { 'memory.available': 90_000 },
    softGraceSecondsMax: 60,
  });
  t.deepEqual(thresholds, [
    { signal: 'memory.available', atLeast: { amount: 100 * 2 ** 20 }, text: '100Mi' },
    { signal: 'memory.available', atLeast: { amount: 2 ** 30 }, text: '1Gi', graceMs: 90_000 },
    { signal: 'nodefs.available', atLeast: { share: 0.1 }, text: '10%' },
  ]);
  t.is(softGraceSecondsMax, 60);
  t.deepEqual(describeEviction({ thresholds, softGraceSecondsMax }), {
    evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '10%' },
    evictionSoft: { 'memory.available': '1Gi' },
    evictionSoftGracePeriod: { 'memory.available': '90s' },
    evictionMaxPodGracePeriod: 60,
  });
});

test('what is not said is the default; nothing at all can be said too', t => {
  t.is(evictionSettings({}).thresholds.length, 6);
  t.deepEqual(evictionSettings({ hard: '' }).thresholds, []);
  const off = { hard: 'nodefs.available<0%,imagefs.available<100%,memory.available<1Mi' };
  t.deepEqual(
    evictionSettings(off).thresholds.map(({ signal }) => signal),
    ['memory.available'],
  );
});

const wrong: readonly (readonly [string, EvictionOptions, RegExp])[] = [
  ['an unknown signal', { hard: 'memory.free<1Gi' }, /^unknown eviction signal memory.free/],
  ['no operator', { hard: 'memory.available=1Gi' }, /^invalid eviction threshold syntax memory.available=1Gi/],
  ['no amount', { hard: 'memory.available<much' }, /must be positive/],
  ['nothing', { hard: 'memory.available<0' }, /must be positive/],
  ['more than all of it', { hard: 'memory.available<101%' }, /must be positive, and a percentage below 100%/],
  ['twice the same', { hard: 'memory.available<1Gi,memory.available<2Gi' }, /duplicate .* memory.available/],
  [
    'a soft one without its time',
    { soft: 'memory.available<1Gi' },
    /^grace period must be specified .* memory.available/,
  ],
  ['a time for an unknown signal', { softGraceMs: { 'memory.free': 1 } }, /^unknown eviction signal memory.free/],
];
for (const [name, options, message] of wrong)
  test(`refused: ${name}`, t => {
    t.throws(() => evictionSettings(options), { instanceOf: EvictionSettingsError, message });
  });
