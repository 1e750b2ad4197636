/** The group flowcontrol.apiserver.k8s.io: which requests share which part of the server. */
import * as kinds from '../generated/kinds.ts';
import { validateFlowSchema, validatePriorityLevel } from '../validation/flow-control.ts';
import { declare, STATUS } from './declare.ts';

const PRECEDENCE = 1_000;
const SHARES = 30;
const QUEUES = { handSize: 8, queues: 64, queueLengthLimit: 50 };

export const flowSchema = declare(kinds.flowschemas, {
  tracksGeneration: true,
  subresources: [STATUS],
  statusKeepsMetadata: true,
  defaults({ spec }) {
    if (spec) spec.matchingPrecedence ||= PRECEDENCE;
  },
  validate: validateFlowSchema,
});

export const priorityLevel = declare(kinds.prioritylevelconfigurations, {
  tracksGeneration: true,
  subresources: [STATUS],
  statusKeepsMetadata: true,
  defaults({ spec }) {
    if (!spec) return;
    if (spec.type === 'Exempt') {
      spec.exempt ??= {};
      spec.exempt.nominalConcurrencyShares ??= 0;
      spec.exempt.lendablePercent ??= 0;
    }
    if (!spec.limited) return;
    spec.limited.nominalConcurrencyShares ??= SHARES;
    spec.limited.lendablePercent ??= 0;
    const queuing = spec.limited.limitResponse?.queuing;
    if (!queuing) return;
    queuing.handSize ||= QUEUES.handSize;
    queuing.queues ||= QUEUES.queues;
    queuing.queueLengthLimit ||= QUEUES.queueLengthLimit;
  },
  validate: validatePriorityLevel,
});
