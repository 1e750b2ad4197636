import test from 'ava';
import fc from 'fast-check';
import type { ControllerRevision, DaemonSet, Pod } from '../api/generated/types.ts';
import { planRevision } from './controller-history.ts';
import { hashOfRevision, planDuplicates, revisionOwner, surplusHistory } from './daemon-set-history.ts';
import { REVISION_HASH_LABEL } from './daemon-set-plan.ts';

const daemon = (image: string, more: Partial<DaemonSet['spec']> = {}): DaemonSet => ({
  metadata: { name: 'd', namespace: 'n', uid: 'u', annotations: { 'kubernetes.io/change-cause': image } },
  spec: {
    selector: { matchLabels: { app: 'd' } },
    template: { metadata: { labels: { app: 'd' } }, spec: { containers: [{ name: 'c', image }] } },
    ...more,
  },
});
const revise = (set: DaemonSet, revisions: readonly ControllerRevision[]) =>
  planRevision(revisionOwner(set), revisions);
const surplus = (set: DaemonSet, revisions: readonly ControllerRevision[], pods: readonly Pod[] = []) =>
  surplusHistory(set, revisions, pods);
/** The history that results when these images were rolled out one after the other. */
const history = (...images: string[]) =>
  images.reduce<ControllerRevision[]>((known, image) => {
    const { current, write } = revise(daemon(image), known);
    return [
      ...known.filter(({ metadata }) => write !== 'update' || metadata?.name !== current.metadata?.name),
      current,
    ];
  }, []);
const podOf = (revision: ControllerRevision | undefined): Pod => ({
  metadata: { labels: { [REVISION_HASH_LABEL]: revision ? hashOfRevision(revision) : '' } },
});

test('a new template becomes the next revision, which holds a patch that puts it back', t => {
  const { current, write } = revise(daemon('2'), history('1'));
  t.is(write, 'create');
  t.is(current.revision, 2);
  t.is(current.metadata?.name, `d-${hashOfRevision(current)}`);
  t.like(current.metadata, { labels: { app: 'd' }, annotations: { 'kubernetes.io/change-cause': '2' } });
  t.deepEqual(current.data, { spec: { template: { ...daemon('2').spec?.template, $patch: 'replace' } } });
});

test('a known template needs nothing, or a higher number when the set went back to it', t => {
  t.is(revise(daemon('2'), history('1', '2')).write, 'none');
  const { current, write } = revise(daemon('1'), history('1', '2'));
  t.is(write, 'update');
  t.is(current.revision, 3);
  t.is(hashOfRevision(current), hashOfRevision(history('1')[0] as ControllerRevision));
});

test('the oldest beyond the limit go, unless pods run them', t => {
  const known = history('1', '2', '3');
  const set = daemon('3', { revisionHistoryLimit: 1 });
  t.deepEqual(surplus(set, known), [known[0]]);
  t.deepEqual(surplus(set, known, [podOf(known[0])]), [known[1]]);
  t.deepEqual(surplus(daemon('3', { revisionHistoryLimit: 2 }), known), []);
});

test('of several revisions of one template the newest is kept; pods of the others are relabelled, not replaced', t => {
  const [first] = history('1');
  const copy: ControllerRevision = {
    ...first,
    metadata: { ...first?.metadata, name: 'copy', labels: { app: 'd', [REVISION_HASH_LABEL]: 'copy' } },
    revision: 2,
  };
  const known = [first as ControllerRevision, copy];
  const { current, write } = revise(daemon('1'), known);
  t.is(write, 'none');
  t.is(current, copy);
  const pods = [podOf(first), podOf(copy), podOf(undefined)];
  t.deepEqual(planDuplicates(daemon('1'), { revisions: known, kept: current, pods }), {
    relabel: [pods[0]],
    remove: [first],
  });
  t.deepEqual(planDuplicates(daemon('1'), { revisions: [copy], kept: copy, pods }), { relabel: [], remove: [] });
});

test('whatever is there: one revision of the present template stays, none that pods run goes, and a second look finds nothing', t => {
  const given = fc.uniqueArray(
    fc.record({ image: fc.constantFrom('1', '2', '3', '4'), number: fc.integer({ min: 1, max: 20 }) }),
    { maxLength: 8, selector: ({ number }) => number },
  );
  fc.assert(
    fc.property(given, fc.array(fc.nat(7)), fc.integer({ min: 0, max: 4 }), (each, running, limit) => {
      const set = daemon('1', { revisionHistoryLimit: limit });
      const made = each.map(({ image, number }): ControllerRevision => {
        const { current } = revise(daemon(image), []);
        const labels = { [REVISION_HASH_LABEL]: `h${number}` };
        return { ...current, metadata: { ...current.metadata, name: `r${number}`, labels }, revision: number };
      });
      const { current: kept } = revise(set, made);
      let revisions = [...made.filter(({ metadata }) => metadata?.name !== kept.metadata?.name), kept];
      let pods = running.flatMap(index => (made[index] ? [podOf(made[index])] : []));
      const { relabel, remove } = planDuplicates(set, { revisions, kept, pods });
      revisions = revisions.filter(revision => !remove.includes(revision));
      pods = pods.map(pod => (relabel.includes(pod) ? podOf(kept) : pod));
      t.deepEqual(planDuplicates(set, { revisions, kept, pods }), { relabel: [], remove: [] });
      const gone = surplus(set, revisions, pods);
      const hashes = new Set(pods.map(({ metadata }) => metadata?.labels?.[REVISION_HASH_LABEL]));
      t.false(gone.includes(kept) || gone.some(revision => hashes.has(hashOfRevision(revision))));
      const left = revisions.filter(revision => !gone.includes(revision));
      t.deepEqual(surplus(set, left, pods), []);
      const old = left.filter(revision => revision !== kept);
      t.true(old.length <= limit || old.every(revision => hashes.has(hashOfRevision(revision))));
      t.is(revise(set, left).write, 'none');
    }),
    { numRuns: 200 },
  );
});
