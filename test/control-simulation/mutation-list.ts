/** Rules of the controllers and of the server, each with what it is without; the simulation has to notice each. */

import type { SourceChange } from '../helpers/source-copy.ts';

export const MUTATIONS: readonly SourceChange[] = [
  {
    rule: 'surge is a bound',
    file: 'control/controllers/deployment-plan.ts',
    find: 'rollingBounds(this.#deployment).maxSurge - this.#total()',
    replace: 'rollingBounds(this.#deployment).maxSurge + 2 - this.#total()',
  },
  {
    rule: 'as many stay available as the deployment wants',
    file: 'control/controllers/deployment-plan.ts',
    find: 'const minAvailable = this.#desired - rollingBounds(this.#deployment).maxUnavailable;',
    replace: 'const minAvailable = this.#desired - rollingBounds(this.#deployment).maxUnavailable - 1;',
  },
  {
    rule: 'a rollout takes away what does not work',
    file: 'control/controllers/deployment-plan.ts',
    find: 'const broken = Math.min(removable, Math.max(0, replicasOf(old) - available(old)));',
    replace: 'const broken = 0;',
  },
  {
    rule: 'who recreates waits for the old pods',
    file: 'control/controllers/deployment-plan.ts',
    find: 'if (old.length > 0 || isCounted || this.#hasOldPods) return',
    replace: 'if (old.length > 0) return',
  },
  {
    rule: 'what was written and not seen yet counts',
    file: 'control/client/expectations.ts',
    find: 'if (this.#clock.now() - expectation.sinceMs < EXPECTATION_TTL_MS) return false;',
    replace: '',
  },
  {
    rule: 'a job runs no more pods than it has completions left',
    file: 'control/controllers/job-scale.ts',
    find: 'Math.max(0, spec.completions - succeeded)',
    replace: 'Math.max(1, spec.completions + 1 - succeeded)',
  },
  {
    rule: 'writes of a past leadership are refused',
    file: 'store/mvcc/mvcc.ts',
    find: 'if (fenceTerm !== undefined && fenceTerm !== context.term) return',
    replace: 'if (fenceTerm !== undefined && fenceTerm > context.term) return',
  },
  {
    rule: 'a pod of a node that is gone is removed',
    file: 'control/controllers/pod-garbage.ts',
    find: 'lost.filter(pod => isGone(nodeOf(pod)))',
    replace: 'lost.filter(() => false)',
  },
  {
    rule: 'an eviction takes from its budget',
    file: 'control/apiserver/subresources/eviction.ts',
    find: 'disruptionsAllowed: status.disruptionsAllowed - 1 };',
    replace: 'disruptionsAllowed: status.disruptionsAllowed };',
  },
];
