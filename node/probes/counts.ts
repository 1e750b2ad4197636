/** How often probes ended how, for `/metrics/probes`; forgotten with their pod. */
import type { Pod } from '../api.ts';
import type { ProbeCount } from '../metrics/pages.ts';
import type { CheckResult } from './check.ts';
import type { ProbeKind } from './verdict.ts';

const KINDS = { startup: 'Startup', liveness: 'Liveness', readiness: 'Readiness' } as const;

export class ProbeCounts {
  readonly #byPod = new Map<string, Map<string, ProbeCount>>();

  /** A probe that could not be made has no result. */
  count({ metadata }: Pod, container: string, probe: ProbeKind, outcome: CheckResult['outcome']): void {
    if (outcome === 'error') return;
    const { name: pod = '', namespace = '', uid: podUid = '' } = metadata ?? {};
    const kind = KINDS[probe];
    const result = outcome === 'failure' ? 'failed' : 'successful';
    const own = this.#byPod.get(podUid) ?? new Map<string, ProbeCount>();
    this.#byPod.set(podUid, own);
    const key = `${container}/${kind}/${result}`;
    const count = (own.get(key)?.count ?? 0) + 1;
    own.set(key, { namespace, pod, podUid, container, kind, result, count });
  }

  forget(podUid: string): void {
    this.#byPod.delete(podUid);
  }

  list(): readonly ProbeCount[] {
    return [...this.#byPod.values()].flatMap(own => [...own.values()]);
  }
}
