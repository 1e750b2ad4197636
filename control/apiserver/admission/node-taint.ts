/** A new node takes no pods until the node controller has seen it ready (TaintNodesByCondition). */
import type { Node } from '../../api/generated/types.ts';
import type { AdmissionPlugin } from './admission.ts';

const NOT_READY = { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' } as const;

export const taintNewNodes: AdmissionPlugin = {
  name: 'TaintNodesByCondition',
  mutate({ kind, operation, info }, { object }) {
    if (operation !== 'CREATE' || info.subresource !== '' || kind.group !== '' || kind.plural !== 'nodes') return;
    const node = object as Node; // the request's kind says so
    node.spec ??= {};
    const taints = node.spec.taints ?? [];
    if (taints.some(({ key, effect }) => key === NOT_READY.key && effect === NOT_READY.effect)) return;
    node.spec.taints = [...taints, { ...NOT_READY }];
  },
};
