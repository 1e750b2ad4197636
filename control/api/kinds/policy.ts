/** What limits or orders pods: PodDisruptionBudget, PriorityClass, RuntimeClass. */
import * as kinds from '../generated/kinds.ts';
import type { PriorityClass } from '../generated/types.ts';
import { validateDisruptionBudget } from '../validation/disruption.ts';
import { validatePriorityClass, validatePriorityClassUpdate } from '../validation/priority-class.ts';
import { validateRuntimeClass, validateRuntimeClassUpdate } from '../validation/runtime-class.ts';
import { declare, STATUS } from './declare.ts';
import { roundResources } from './pod-defaults.ts';

export const podDisruptionBudget = declare(kinds.poddisruptionbudgets, {
  tracksGeneration: true,
  subresources: [STATUS],
  allowUnconditionalUpdate: false,
  prepareForCreate(object) {
    object.status = { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 };
  },
  validate: validateDisruptionBudget,
  judgesWholeFirst: true,
});

export const priorityClass = declare(kinds.priorityclasses, {
  tracksGeneration: true,
  // What it stands for is written into pods when they are made; it never changes.
  isSpecChanged: () => false,
  defaults(object: PriorityClass) {
    object.preemptionPolicy ??= 'PreemptLowerPriority';
  },
  validate: validatePriorityClass,
  validateUpdate: validatePriorityClassUpdate,
  judgesOnlyChanges: true,
});

export const runtimeClass = declare(kinds.runtimeclasses, {
  allowCreateOnUpdate: true,
  allowUnconditionalUpdate: false,
  defaults: ({ overhead }) => roundResources(overhead?.podFixed),
  validate: validateRuntimeClass,
  validateUpdate: validateRuntimeClassUpdate,
  judgesOnlyChanges: true,
});
