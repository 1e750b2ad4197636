/**
 * Admission: what stands between a well-formed request and the store, as one list of plugins. Each may change the object
 * before it is validated (`mutate`), and say afterwards what must hold and happen in the transaction (`conclude`). Plugins
 * read the cache; since that may lag, what they rely on goes into the transaction as a condition.
 */
import type { KubernetesObject } from '../../api/kind.ts';
import type { ResourceRequest } from '../core.ts';
import type { ExtraConditions } from '../verbs/commit.ts';

export interface AdmissionRequest extends ResourceRequest {
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE';
  readonly isDryRun: boolean;
}

export interface AdmissionPlugin {
  readonly name: string;
  /** May change `object`. Throws what the client is to be told. */
  mutate?(request: AdmissionRequest, states: States): void | Promise<void>;
  /** After validation. `object` is undefined when the object is about to be removed. */
  conclude?(request: AdmissionRequest, states: States): Partial<ExtraConditions> | Promise<Partial<ExtraConditions>>;
}

export interface States {
  /** As it shall be; undefined on deletion. */
  readonly object: KubernetesObject | undefined;
  /** As it is; undefined on creation. */
  readonly old: KubernetesObject | undefined;
}

export interface Admission {
  mutate(
    request: AdmissionRequest,
    object: KubernetesObject | undefined,
    old: KubernetesObject | undefined,
  ): Promise<void>;
  conclude(
    request: AdmissionRequest,
    object: KubernetesObject | undefined,
    old: KubernetesObject | undefined,
  ): Promise<ExtraConditions>;
}

/** Runs the plugins in the order of the list. */
export function createAdmission(plugins: readonly AdmissionPlugin[]): Admission {
  return {
    async mutate(request, object, old) {
      for (const plugin of plugins) await plugin.mutate?.(request, { object, old });
    },
    async conclude(request, object, old) {
      const compare: ExtraConditions['compare'][number][] = [];
      const then: ExtraConditions['then'][number][] = [];
      for (const plugin of plugins) {
        const more = await plugin.conclude?.(request, { object, old });
        compare.push(...(more?.compare ?? []));
        then.push(...(more?.then ?? []));
      }
      return { compare, then };
    },
  };
}
