import test from 'ava';
import fc from 'fast-check';
import { KeySpace } from './key-space.ts';
import { RevisionLog } from './revision-log.ts';
import { NO_BYTES, type Row } from './version-table.ts';

const item = (key: string, modRevision: number, value: string) => ({
  key,
  value: Buffer.from(value),
  createRevision: modRevision,
  modRevision,
  version: 1,
  lease: 0,
});
const tombstone = (key: string, modRevision: number) => ({
  key,
  value: NO_BYTES,
  createRevision: 0,
  modRevision,
  version: 0,
  lease: 0,
});

/** Sweeps as the state does: each revision before the target is compacted, then forgotten; the target's changes stay. */
function sweep(keys: KeySpace, log: RevisionLog, target: number): void {
  while (log.firstRevision < target) {
    const rows = log.get(log.firstRevision) ?? [];
    for (const row of rows) keys.compact(row, target);
    for (const row of rows) keys.forget(row);
    log.dropFirst();
  }
  for (const row of log.get(target) ?? []) keys.compact(row, target);
}

const anyStep = fc.oneof(
  { weight: 5, arbitrary: fc.record({ type: fc.constant('put' as const), key: fc.constantFrom('a', 'b', 'c', 'ä') }) },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant('delete' as const), key: fc.constantFrom('a', 'b', 'c', 'ä') }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('compact' as const), back: fc.nat(4) }) },
);

test('no row outlives its use: compacted to the end, there is one for each key and one for each change of the last revision', t => {
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 80 }), steps => {
      const keys = new KeySpace();
      const log = new RevisionLog(2);
      let revision = 1;
      let target = 0;
      for (const step of steps) {
        if (step.type === 'compact') {
          target = Math.max(target, revision - step.back);
          sweep(keys, log, target);
          continue;
        }
        if (step.type === 'delete' && !keys.has(step.key)) continue;
        revision++;
        const row: Row =
          step.type === 'put'
            ? keys.write(item(step.key, revision, `${step.key}${revision}`))
            : keys.write(tombstone(step.key, revision));
        log.push(revision, [row]);
        t.is(keys.event(row).item.modRevision, revision);
      }
      sweep(keys, log, revision);
      const last = log.get(revision)?.[0];
      const wasDeleted = last !== undefined && keys.event(last).type === 'delete';
      const hasReplaced = last !== undefined && keys.previous(last) !== undefined;
      const found = keys.range({ key: '', end: '' }, revision, true).items;
      for (const { key, value, modRevision } of found) t.is(Buffer.from(value).toString(), `${key}${modRevision}`);
      // A tombstone of the last revision stays for watches, and so does what the last change replaced.
      const replacedTombstone = keys.versionCount - found.length - Number(wasDeleted) - Number(hasReplaced);
      t.true(replacedTombstone === 0 || (replacedTombstone === 1 && !wasDeleted && !hasReplaced));
    }),
    { numRuns: 400 },
  );
});

test('a hot key with a long history is walked through once a compaction, not once a change', t => {
  const keys = new KeySpace();
  const log = new RevisionLog(2);
  const versions = 200_000;
  for (let revision = 2; revision < versions; revision++) {
    for (const key of ['hot', 'hotter']) {
      if (revision % 2 === (key === 'hot' ? 0 : 1)) log.push(revision, [keys.write(item(key, revision, 'v'))]);
    }
  }
  const startMs = performance.now();
  sweep(keys, log, versions / 2);
  // Once a change it would be 100,000 × 50,000 steps, which takes half a minute.
  t.true(performance.now() - startMs < 5_000);
  // The revisions from the target on, the other key as of the target, and what the target's change replaced.
  t.is(keys.versionCount, versions / 2 + 2);
});

test('what was read stays as it was, however much is written and forgotten after', t => {
  const keys = new KeySpace();
  const log = new RevisionLog(2);
  log.push(2, [keys.write(item('a', 2, 'first'))]);
  const read = keys.get('a');
  for (let revision = 3; revision < 2_000; revision++) {
    log.push(revision, [keys.write(item('a', revision, `other ${revision} ${'x'.repeat(revision % 3_000)}`))]);
    sweep(keys, log, revision);
  }
  t.is(Buffer.from(read?.value ?? []).toString(), 'first');
  t.is(keys.versionCount, 2);
});
