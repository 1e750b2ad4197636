/**
 * nodeSelector and node affinity: what the pod demands of a node's labels and name, and what it would like. A profile may
 * demand more of all its pods (NodeAffinityArgs.addedAffinity).
 */
import type { Node, NodeAffinity, NodeSelectorTerm, Pod } from '../../api/generated/types.ts';
import { matchesNodeTerm, matchesRequiredNode } from '../../client/node-selectors.ts';
import { incurable, type SchedulerPlugin, stretch } from '../plugin.ts';

const MISMATCH = incurable("node(s) didn't match Pod's node affinity/selector");
const MISMATCH_ADDED = incurable("node(s) didn't match scheduler-enforced node affinity");
const CONFLICT = 'pod affinity terms conflict';

export function nodeAffinity(added?: NodeAffinity): SchedulerPlugin {
  const addedTerms = added?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  const isAdmitted = (node: Node) => !addedTerms || addedTerms.some(term => matchesNodeTerm(term, node));
  return {
    name: 'NodeAffinity',
    filter({ pod }) {
      const own = requiredTerms(pod);
      if (!own && !addedTerms && !pod.spec?.nodeSelector) return undefined;
      const nodeNames = own && namesIn(own);
      if (nodeNames?.size === 0) return { refusal: CONFLICT };
      return {
        nodeNames,
        refuse({ node }) {
          if (!isAdmitted(node)) return MISMATCH_ADDED;
          return matchesRequiredNode(pod.spec, node) ? undefined : MISMATCH;
        },
      };
    },
    score({ pod }) {
      const preferred = [
        ...(pod.spec?.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []),
        ...(added?.preferredDuringSchedulingIgnoredDuringExecution ?? []),
      ];
      if (preferred.length === 0) return undefined;
      return {
        score: ({ node }) =>
          preferred.reduce((sum, { weight, preference }) => sum + (prefers(preference, node) ? weight : 0), 0),
        normalize: scores => stretch(scores, false),
      };
    },
    helpedBy: ['node'],
    mayHelp(event, { pod }) {
      if (event.kind !== 'node' || !event.changes.labels) return false;
      const suits = (node: Node) => isAdmitted(node) && matchesRequiredNode(pod.spec, node);
      return suits(event.node) && !(event.old && suits(event.old));
    },
  };
}

/** An empty preference is one for every node; an empty requirement is met by none. */
function prefers(preference: NodeSelectorTerm, node: Node): boolean {
  const isAny = !preference.matchExpressions?.length && !preference.matchFields?.length;
  return isAny ? false : matchesNodeTerm(preference, node);
}

const requiredTerms = ({ spec }: Pod) =>
  spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;

/** The only nodes that the terms allow by name; undefined if some term allows any name. */
function namesIn(terms: readonly NodeSelectorTerm[]): ReadonlySet<string> | undefined {
  const names = new Set<string>();
  for (const { matchFields = [], matchExpressions = [] } of terms) {
    if (matchFields.length === 0 && matchExpressions.length === 0) continue;
    const lists = matchFields
      .filter(({ key, operator }) => key === 'metadata.name' && operator === 'In')
      .map(({ values }) => values ?? []);
    const [first, ...others] = lists;
    if (!first) return undefined;
    for (const name of first) if (others.every(list => list.includes(name))) names.add(name);
  }
  return names;
}
