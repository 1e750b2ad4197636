/**
 * From a service to a connection with one of its pods: its ready endpoints in turn, those that failed lately last. Pods are
 * reached through the agents of their nodes, because a master has no route into the pod network.
 */
import type { Duplex } from 'node:stream';
import { pods, services } from '../../api/generated/kinds.ts';
import type { Pod, Service, ServicePort } from '../../api/generated/types.ts';
import { declarationOf } from '../../api/registry.ts';
import type { AgentCredentials } from '../subresources/agent.ts';
import { dialAddress, type Reach, type ReadyEndpoint, reachPod, readyEndpoints } from '../subresources/reach.ts';
import { cached } from '../verbs/get.ts';
import type { CalloutLimits } from './limits.ts';
import type { Destination } from './target.ts';

export interface RouteOptions {
  readonly core: Reach;
  /** Undefined where the server may not speak to agents. */
  readonly credentials: AgentCredentials | undefined;
  readonly limits: CalloutLimits;
}

type ServicePlace = NonNullable<Destination['service']>;

interface Candidate {
  /** By which it is remembered: address and port. */
  readonly name: string;
  readonly open: () => Promise<Duplex>;
}

const SERVICE = declarationOf(services);
const POD = declarationOf(pods);

export class ServiceRoutes {
  readonly #options: RouteOptions;
  /** When each endpoint failed last. */
  readonly #failedAt = new Map<string, number>();
  #turn = 0;

  constructor(options: RouteOptions) {
    this.#options = options;
  }

  /** Opens a connection to one endpoint of the service. Rejects with what users are told; the signal ends the attempt. */
  async open(place: ServicePlace, signal: AbortSignal): Promise<Duplex> {
    const candidates = this.#inTurn(this.candidates(place));
    let failure: unknown;
    for (const [index, candidate] of candidates.entries()) {
      if (signal.aborted) break;
      const isLast = index === candidates.length - 1;
      try {
        const socket = await this.#attempt(candidate, isLast, signal);
        this.#failedAt.delete(candidate.name);
        return socket;
      } catch (error) {
        failure = error;
        if (!signal.aborted) this.#shun(candidate.name);
      }
    }
    throw signal.aborted ? signal.reason : failure;
  }

  /** Where the service leads now. Throws an Error with what users are told where it leads nowhere. */
  candidates({ namespace, name, port }: ServicePlace): Candidate[] {
    const { core, credentials } = this.#options;
    const service = cached(core, SERVICE, namespace, name)?.parse<Service>();
    if (!service) throw new Error(`service ${JSON.stringify(name)} not found`);
    const { spec } = service;
    if (spec?.type === 'ExternalName') {
      const address = { host: spec.externalName ?? '', port: String(port) };
      return [{ name: `${address.host}:${port}`, open: () => dialAddress(core, address) }];
    }
    const found = findPort(spec?.ports ?? [], port);
    if (!found) throw new Error(`no service port ${port} found for service ${JSON.stringify(name)}`);
    const endpoints = readyEndpoints(core, { namespace, name, portName: found.name ?? '' });
    if (endpoints.length === 0) throw new Error(`no endpoints available for service ${JSON.stringify(name)}`);
    return endpoints.map(({ endpoint, port: endpointPort }) => {
      const host = endpoint.addresses[0] ?? '';
      const address = { host, port: String(endpointPort) };
      const pod = this.#podOf(namespace, endpoint);
      const open = () =>
        pod?.spec?.nodeName ? reachPod({ core, credentials }, pod, address.port)() : dialAddress(core, address);
      return { name: `${host}:${endpointPort}`, open };
    });
  }

  #podOf(namespace: string, { targetRef }: ReadyEndpoint['endpoint']): Pod | undefined {
    if (targetRef?.kind !== 'Pod' || !targetRef.name) return undefined;
    return cached(this.#options.core, POD, targetRef.namespace || namespace, targetRef.name)?.parse<Pod>();
  }

  /** Each time another one first; behind the others whoever failed a moment ago. */
  #inTurn(candidates: readonly Candidate[]): Candidate[] {
    const start = this.#turn++ % candidates.length;
    const rotated = [...candidates.slice(start), ...candidates.slice(0, start)];
    const now = this.#options.core.clock.now();
    const isShunned = ({ name }: Candidate) => {
      const failedAt = this.#failedAt.get(name);
      return failedAt !== undefined && now - failedAt < this.#options.limits.shunMs;
    };
    return [...rotated.filter(candidate => !isShunned(candidate)), ...rotated.filter(isShunned)];
  }

  #shun(name: string): void {
    this.#failedAt.delete(name);
    this.#failedAt.set(name, this.#options.core.clock.now());
    const [oldest] = this.#failedAt.keys();
    if (this.#failedAt.size > this.#options.limits.shunnedMax && oldest !== undefined) this.#failedAt.delete(oldest);
  }

  /** While others are left, nobody may use up the whole time. A connection that comes too late is closed. */
  #attempt({ open, name }: Candidate, isLast: boolean, signal: AbortSignal): Promise<Duplex> {
    const { core, limits } = this.#options;
    return new Promise((resolve, reject) => {
      let isOver = false;
      const end = (settle: () => void) => {
        if (isOver) return;
        isOver = true;
        cancel();
        signal.removeEventListener('abort', abort);
        settle();
      };
      const abort = () => end(() => reject(signal.reason));
      const cancel = isLast
        ? () => undefined
        : core.clock.setTimeout(() => end(() => reject(new Error(`dial tcp ${name}: i/o timeout`))), limits.dialMsMax);
      signal.addEventListener('abort', abort);
      open().then(
        socket => {
          if (isOver) return void socket.destroy();
          end(() => resolve(socket));
        },
        error => end(() => reject(error)),
      );
    });
  }
}

function findPort(ports: readonly ServicePort[], port: number): ServicePort | undefined {
  return ports.find(candidate => candidate.port === port);
}
