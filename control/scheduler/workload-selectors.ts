/**
 * Which pods belong together, for pods that do not say how they are to be spread: those of the same services and of the same
 * owner (k/k helper.DefaultSelector).
 */
import type { LabelSelector, Pod } from '../api/generated/types.ts';
import { matchesLabels } from '../client/labels.ts';
import { controllerOf } from './pod-info.ts';

type Labels = Readonly<Record<string, string>>;

/** What is known of a Service, ReplicationController, ReplicaSet or StatefulSet. */
interface Workload {
  readonly metadata?: { readonly namespace?: string; readonly name?: string };
}

export class WorkloadSelectors {
  /** Selectors of services by namespace and name. */
  readonly #services = new Map<string, Map<string, Labels>>();
  /** By `kind/namespace/name`. */
  readonly #owners = new Map<string, LabelSelector>();

  setService({ metadata, spec }: Workload & { readonly spec?: { readonly selector?: Labels } }): void {
    const { namespace = '', name = '' } = metadata ?? {};
    this.removeService({ metadata: { namespace, name } });
    if (!spec?.selector || Object.keys(spec.selector).length === 0) return;
    const services = this.#services.get(namespace) ?? new Map<string, Labels>();
    services.set(name, spec.selector);
    this.#services.set(namespace, services);
  }

  removeService({ metadata }: Workload): void {
    const services = this.#services.get(metadata?.namespace ?? '');
    services?.delete(metadata?.name ?? '');
    if (services?.size === 0) this.#services.delete(metadata?.namespace ?? '');
  }

  setOwner(kind: string, { metadata }: Workload, selector: LabelSelector | undefined): void {
    const key = ownerKey(kind, metadata?.namespace, metadata?.name);
    if (selector) this.#owners.set(key, selector);
    else this.#owners.delete(key);
  }

  removeOwner(kind: string, { metadata }: Workload): void {
    this.#owners.delete(ownerKey(kind, metadata?.namespace, metadata?.name));
  }

  /** The selector of the pods that belong with this one; undefined if nothing says. */
  selectorOf(pod: Pod): LabelSelector | undefined {
    const { namespace = '', labels = {} } = pod.metadata ?? {};
    const matchLabels: Record<string, string> = {};
    for (const selector of this.#services.get(namespace)?.values() ?? []) {
      if (matchesLabels(selector, labels)) Object.assign(matchLabels, selector);
    }
    const owner = controllerOf(pod);
    const owners = owner && this.#owners.get(ownerKey(owner.kind, namespace, owner.name));
    Object.assign(matchLabels, owners?.matchLabels);
    const matchExpressions = owners?.matchExpressions ?? [];
    if (Object.keys(matchLabels).length === 0 && matchExpressions.length === 0) return undefined;
    return { matchLabels, ...(matchExpressions.length > 0 && { matchExpressions }) };
  }
}

const ownerKey = (kind: string, namespace = '', name = '') => `${kind}/${namespace}/${name}`;
