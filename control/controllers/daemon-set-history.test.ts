import test from 'ava';
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
