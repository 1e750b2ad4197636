/** Users: what all that they do has in common. What they do is in `operations.ts`, what they mend in `healing.ts`. */
import * as kinds from '../../control/api/generated/kinds.ts';
import type { PodTemplateSpec } from '../../control/api/generated/types.ts';
import type { Kind, KubernetesObject } from '../../control/api/kind.ts';
import { ApiError } from '../../control/api/status.ts';
import type { ObjectKey } from '../../control/client/client.ts';
import type { Clock } from '../../control/client/clock.ts';
import { objectKey } from '../../control/client/keys.ts';
import type { RestClient } from '../../control/client/rest.ts';
import { integerBetween, pick, type Random } from '../simulation/random.ts';
import type { EventName } from './coverage.ts';
import { Violation } from './judge-always.ts';
import type { View } from './view.ts';

export interface UsersOptions {
  readonly client: RestClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly view: View;
  readonly note: (name: EventName) => void;
  readonly tell: (line: string) => void;
}

export const NAMESPACES = ['red', 'blue'];
export const APPS = ['web', 'api'];
const PROPAGATIONS = ['Background', 'Background', 'Foreground', 'Orphan'] as const;
/** What a server may say to a user who is late, or asks for what cannot be. */
const EXPECTED: ReadonlySet<string> = new Set([
  'NotFound',
  'AlreadyExists',
  'Conflict',
  'Forbidden',
  'TooManyRequests',
]);
export const MERGE = 'application/merge-patch+json' as const;
/** Pods of this kind of size fit nowhere. */
export const HUGE_CPU = '7000m';

export type Operation = (users: Users) => Promise<void>;

export class Users {
  readonly #options: UsersOptions;
  readonly #underWay = new Set<Promise<void>>();
  operations = 0;
  #images = 1;
  #failure: unknown;

  constructor(options: UsersOptions) {
    this.#options = options;
  }

  async prepare(): Promise<void> {
    for (const name of NAMESPACES) await this.make(kinds.namespaces, { metadata: { name } });
    for (let count = 0; count < 3; count++) this.start(users => users.makeDeployment());
  }

  /**
   * Somebody begins something; whatever comes of it comes later. What the server answers to users who are late is no failure;
   * anything else is one. @throws what went wrong with anything that was begun before
   */
  start(operation: Operation): void {
    if (this.#failure !== undefined) throw this.#failure;
    this.operations++;
    const tracked = operation(this)
      .catch((error: unknown) => {
        if (isExpected(error)) {
          if (error.reason === 'Forbidden' && /exceeded quota/.test(error.message)) this.note('quota full');
          return;
        }
        this.#failure ??=
          error instanceof ApiError ? new Violation(`a user was told ${error.reason}: ${error.message}`) : error;
      })
      .finally(() => this.#underWay.delete(tracked));
    this.#underWay.add(tracked);
  }

  /** Waits until all that users have begun is done. @throws what went wrong with any of it */
  async finish(): Promise<void> {
    await Promise.all(this.#underWay);
    if (this.#failure !== undefined) throw this.#failure;
  }

  get random(): Random {
    return this.#options.random;
  }

  get client(): RestClient {
    return this.#options.client;
  }

  get view(): View {
    return this.#options.view;
  }

  note(name: EventName): void {
    this.#options.note(name);
  }

  pause(delayMs: number): Promise<void> {
    return new Promise(resolve => void this.#options.clock.setTimeout(resolve, delayMs));
  }

  chance(share: number): boolean {
    return this.random() < share;
  }

  between(min: number, max: number): number {
    return integerBetween(this.random, min, max);
  }

  choose<T>(items: readonly T[]): T | undefined {
    return pick(this.random, items);
  }

  /** One of the objects that users make themselves. */
  any<T extends KubernetesObject>(plural: string): T | undefined {
    const own = this.view
      .list<T>(plural)
      .filter(({ metadata }) => NAMESPACES.includes(metadata?.namespace ?? '') && !metadata?.ownerReferences);
    return this.choose(own);
  }

  somewhere(name: string): ObjectKey & { readonly namespace: string } {
    return { namespace: this.choose(NAMESPACES) ?? 'red', name };
  }

  async make<T extends KubernetesObject>(kind: Kind<T>, object: T): Promise<void> {
    this.tell(`user creates ${kind.singular} ${object.metadata?.namespace ?? ''}/${object.metadata?.name}`);
    await this.client.create(kind, object);
  }

  async change<T extends KubernetesObject>(kind: Kind<T>, key: ObjectKey, body: object): Promise<void> {
    this.tell(`user changes ${kind.singular} ${key.namespace}/${key.name} ${JSON.stringify(body)}`);
    await this.client.patch(kind, key, { type: MERGE, body });
  }

  async remove(kind: Kind, plural: string): Promise<void> {
    const object = this.any(plural);
    if (!object) return;
    const propagationPolicy = this.choose(PROPAGATIONS) ?? 'Background';
    if (propagationPolicy === 'Foreground') this.note('owner deleted in the foreground');
    if (propagationPolicy === 'Orphan') this.note('owner orphaned its dependents');
    this.tell(
      `user deletes ${kind.singular} ${object.metadata?.namespace}/${object.metadata?.name} (${propagationPolicy})`,
    );
    await this.client.delete(kind, objectKey(object), { propagationPolicy });
  }

  tell(line: string): void {
    this.#options.tell(line);
  }

  container(): { name: string; image: string; resources: { requests: Record<string, string> } } {
    return { name: 'c', image: `good:${this.#images++}`, resources: { requests: { cpu: '100m', memory: '64Mi' } } };
  }

  template(app: string): PodTemplateSpec {
    return {
      metadata: { labels: { app } },
      spec: { terminationGracePeriodSeconds: 5, containers: [this.container()] },
    };
  }

  async makeDeployment(): Promise<void> {
    const app = this.choose(APPS) ?? 'web';
    const share = () => this.choose<number | string>([0, 1, 2, '25%', '50%']) ?? 1;
    const rollingUpdate = { maxSurge: share(), maxUnavailable: share() };
    if (Number.parseInt(String(rollingUpdate.maxSurge), 10) === 0 && rollingUpdate.maxUnavailable === 0)
      rollingUpdate.maxSurge = 1;
    const strategy = this.chance(0.2) ? { type: 'Recreate' } : { type: 'RollingUpdate', rollingUpdate };
    await this.make(kinds.deployments, {
      metadata: this.somewhere(app),
      spec: {
        replicas: this.between(0, 6),
        selector: { matchLabels: { app } },
        template: this.template(app),
        strategy,
        minReadySeconds: this.choose([0, 0, 10]) ?? 0,
        progressDeadlineSeconds: this.choose([60, 600]) ?? 600,
        revisionHistoryLimit: this.choose([1, 3, 10]) ?? 10,
      },
    });
  }
}

/** Whether a user who is late, or asks for what cannot be, has to reckon with this. */
export function isExpected(error: unknown): error is ApiError {
  return error instanceof ApiError && EXPECTED.has(error.reason);
}

export const WITH_TEMPLATES = [
  [kinds.deployments, 'deployments'],
  [kinds.replicasets, 'replicasets'],
  [kinds.replicationcontrollers, 'replicationcontrollers'],
  [kinds.daemonsets, 'daemonsets'],
  [kinds.statefulsets, 'statefulsets'],
] as const satisfies readonly (readonly [Kind, string])[];
