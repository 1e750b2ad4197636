/**
 * Admission: what stands between a well-formed request and the store, as one list of plugins. Each may change the object
 * before it is validated (`mutate`), refuse it as it has become (`validate`), and say at the end what must hold and happen
 * in the transaction (`conclude`). Plugins read the cache; since that may lag, what they rely on goes into the transaction
 * as a condition.
 */
import type { KubernetesObject } from '../../api/kind.ts';
import type { ResourceRequest } from '../core.ts';
import type { ExtraConditions } from '../verbs/commit.ts';

export interface AdmissionRequest extends ResourceRequest {
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';
  readonly isDryRun: boolean;
  /** True for a change that the server makes by itself on the way of another request: outsiders are not asked. */
  readonly isInternal?: boolean;
  /** The kind of what is sent, where that is not an object of the resource: a Binding, an Eviction, PodExecOptions. */
  readonly part?: { readonly group: string; readonly version: string; readonly kind: string };
  /** What a deletion asks besides: fields of DeleteOptions. */
  readonly options?: object;
  /** True if the server made up the object's name, which nobody but the server may know yet. */
  readonly isNameGenerated?: boolean;
}

/** A step that has nothing to wait for, as most have for most requests, is not async: each wait costs every write something. */
export interface AdmissionPlugin {
  readonly name: string;
  /** True if it is asked about requests with a {@link AdmissionRequest.part} too. */
  readonly seesParts?: boolean;
  /** May change `object`. Called once more, for the second round, if another plugin asks for that: it must not mind. */
  mutate?(request: AdmissionRequest, states: States, round: Round): void | Promise<void>;
  /** After the object's own validation, and also for a change that changes nothing. Throws what the client is to be told. */
  validate?(request: AdmissionRequest, states: States): void | Promise<void>;
  /** At the end. `object` is undefined when the object is about to be removed. */
  conclude?(request: AdmissionRequest, states: States): Partial<ExtraConditions> | Promise<Partial<ExtraConditions>>;
}

export interface States {
  /** As it shall be; undefined on deletion. */
  readonly object: KubernetesObject | undefined;
  /** As it is; undefined on creation. */
  readonly old: KubernetesObject | undefined;
}

/** The rounds of one request's mutation: there is a second one, and never a third, if a plugin asks for it. */
export class Round {
  readonly #memory = new Map<string, unknown>();
  isSecond = false;
  isSecondWanted = false;

  /** Has all plugins called again, because what was changed may concern those that were called before. */
  wantSecond(): void {
    this.isSecondWanted = true;
  }

  /** What a plugin keeps between the rounds, under its name; made at the first call. */
  remember<T>(name: string, make: () => T): T {
    if (!this.#memory.has(name)) this.#memory.set(name, make());
    return this.#memory.get(name) as T; // only the plugin of that name puts it there
  }
}

type Step<T> = (
  request: AdmissionRequest,
  object: KubernetesObject | undefined,
  old: KubernetesObject | undefined,
) => Promise<T>;

export interface Admission {
  readonly mutate: Step<void>;
  readonly validate: Step<void>;
  readonly conclude: Step<ExtraConditions>;
  /** Mutation and validation of what is no object of a resource and is not stored. */
  admitPart(
    request: AdmissionRequest & Required<Pick<AdmissionRequest, 'part'>>,
    part: KubernetesObject,
    old?: KubernetesObject,
  ): Promise<void>;
}

/** Runs the plugins in the order of the list. */
export function createAdmission(plugins: readonly AdmissionPlugin[]): Admission {
  const mutateBy = async (some: readonly AdmissionPlugin[], request: AdmissionRequest, states: States) => {
    const round = new Round();
    const ask = async () => {
      for (const plugin of some) {
        const asked = plugin.mutate?.(request, states, round);
        if (asked) await asked;
      }
    };
    await ask();
    if (!round.isSecondWanted) return;
    round.isSecond = true;
    await ask();
  };
  // Most plugins have one step of the three, and nothing to wait for in it; each wait costs a turn of the microtask queue.
  const mutating = plugins.filter(({ mutate }) => mutate);
  const validating = plugins.filter(({ validate }) => validate);
  const concluding = plugins.filter(({ conclude }) => conclude);
  const forParts = plugins.filter(({ seesParts }) => seesParts);
  return {
    mutate: (request, object, old) => mutateBy(mutating, request, { object, old }),
    async validate(request, object, old) {
      for (const plugin of validating) {
        const asked = plugin.validate?.(request, { object, old });
        if (asked) await asked;
      }
    },
    async conclude(request, object, old) {
      const compare: ExtraConditions['compare'][number][] = [];
      const then: ExtraConditions['then'][number][] = [];
      const settles: NonNullable<ExtraConditions['settle']>[] = [];
      const settle = (revision?: number) => {
        for (const each of settles) each(revision);
      };
      try {
        for (const plugin of concluding) {
          const asked = plugin.conclude?.(request, { object, old });
          const more = asked instanceof Promise ? await asked : asked;
          compare.push(...(more?.compare ?? []));
          then.push(...(more?.then ?? []));
          if (more?.settle) settles.push(more.settle);
        }
      } catch (error) {
        settle();
        throw error;
      }
      return { compare, then, ...(settles.length > 0 && { settle }) };
    },
    async admitPart(request, part, old) {
      const states = { object: part, old };
      await mutateBy(forParts, request, states);
      for (const plugin of forParts) {
        const asked = plugin.validate?.(request, states);
        if (asked) await asked;
      }
    },
  };
}
