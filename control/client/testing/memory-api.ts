/**
 * An API server in memory for tests of controllers and scheduler: lists, watches, writes, finalizers, generated names,
 * `status`, `binding` and `finalize`. It stores what it is sent, without defaults or validation.
 */
import * as allKinds from '../../api/generated/kinds.ts';
import type { ObjectMeta } from '../../api/generated/types.ts';
import type { Kind, KubernetesObject } from '../../api/kind.ts';
import { ApiError, alreadyExists, badRequest, conflict, expired, notFound, OBJECT_MODIFIED } from '../../api/status.ts';
import type { ApiRequest, ApiResponse, ApiTransport } from '../client.ts';
import { type Clock, timestamp } from '../clock.ts';

interface Stored extends KubernetesObject {
  metadata: ObjectMeta;
  spec?: Record<string, unknown>;
  status?: Record<string, unknown>;
  target?: { name?: string };
}
interface Change {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly kind: Kind;
  readonly object: Stored;
  readonly revision: number;
}
interface Target {
  readonly kind: Kind;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string;
  readonly parameters: URLSearchParams;
}

const KINDS: readonly Kind[] = Object.values(allKinds).filter(
  (value): value is Kind => typeof value === 'object' && 'plural' in value,
);

export class MemoryApi implements ApiTransport {
  readonly #clock: Clock;
  readonly #objects = new Map<string, Stored>();
  readonly #history: Change[] = [];
  readonly #watchers = new Set<() => void>();
  readonly #held = new Set<string>();
  #revision = 0;
  #uids = 0;
  #compacted = 0;
  /** Every request that came, for tests that count them. */
  readonly requests: ApiRequest[] = [];
  /** Lets a test refuse a request. */
  intercept: ((request: ApiRequest) => ApiError | undefined) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async request(request: ApiRequest): Promise<ApiResponse> {
    request.signal?.throwIfAborted();
    this.requests.push(request);
    await Promise.resolve();
    try {
      const refusal = this.intercept?.(request);
      if (refusal) throw refusal;
      const discovery = this.#discover(request.path);
      if (discovery) return answer(200, discovery);
      const target = locate(request.path);
      if (request.method === 'GET' && target.parameters.get('watch')) return this.#watch(target, request.signal);
      return answer(request.method === 'POST' ? 201 : 200, this.#perform(request, target));
    } catch (error) {
      if (error instanceof ApiError) return answer(error.code, error.toStatus());
      throw error;
    }
  }

  async close(): Promise<void> {}

  /** Forgets history: watches from before now are answered with 410. */
  compact(): void {
    this.#compacted = this.#revision;
    this.#history.length = 0;
  }

  /** Lets watches of a kind fall behind, by its plural, until {@link resume}. */
  hold(plural: string): void {
    this.#held.add(plural);
  }
  resume(plural: string): void {
    this.#held.delete(plural);
    for (const wake of this.#watchers) wake();
  }

  /** Ends all watches, as a server that restarts does. */
  interrupt(): void {
    this.#epoch++;
    for (const wake of this.#watchers) wake();
  }
  #epoch = 0;

  #perform(request: ApiRequest, target: Target): object {
    const { kind, name } = target;
    if (request.method === 'GET') return name === undefined ? this.#list(target) : this.#find(target);
    if (request.method === 'DELETE' && name === undefined) return this.#deleteCollection(target);
    if (request.method === 'DELETE') return this.#delete(target, parse(request.body));
    const body = parse(request.body) as Stored;
    if (request.method === 'POST' && target.subresource === 'binding') return this.#bind(target, body);
    if (request.method === 'POST') return this.#create(kind, target.namespace, body);
    if (request.method === 'PUT') return this.#write(target, body);
    const current = this.#find(target);
    return this.#write(target, merge(current, body) as Stored, false);
  }

  #find({ kind, namespace, name = '' }: Target): Stored {
    const found = this.#objects.get(keyFor(kind, namespace, name));
    if (!found) throw notFound({ group: kind.group, resource: kind.plural }, name);
    return found;
  }

  #list(target: Target): object {
    const items = this.#select(target).map(({ apiVersion: _, kind: __, ...item }) => item);
    return {
      kind: `${target.kind.kind}List`,
      apiVersion: 'v1',
      metadata: { resourceVersion: String(this.#revision) },
      items,
    };
  }

  #select(target: Target): Stored[] {
    const prefix = `${target.kind.group}/${target.kind.plural}/${target.namespace ? `${target.namespace}/` : ''}`;
    return [...this.#objects]
      .filter(([key, object]) => key.startsWith(prefix) && isSelected(target, object))
      .map(([, o]) => o);
  }

  #create(kind: Kind, namespace: string | undefined, body: Stored): Stored {
    const metadata = { ...body.metadata };
    if (!metadata.name && metadata.generateName)
      metadata.name = `${metadata.generateName}${(++this.#uids).toString(36).padStart(5, '0')}`;
    if (!metadata.name) throw badRequest('name or generateName is required');
    if (kind.namespaced && namespace) metadata.namespace = namespace;
    const key = keyFor(kind, metadata.namespace, metadata.name);
    if (this.#objects.has(key)) throw alreadyExists({ group: kind.group, resource: kind.plural }, metadata.name);
    metadata.uid = `uid-${++this.#uids}`;
    metadata.creationTimestamp = timestamp(this.#clock.now());
    metadata.generation = 1;
    return this.#store('ADDED', kind, { ...body, metadata });
  }

  #write(target: Target, body: Stored, checksVersion = true): Stored {
    const { kind, subresource } = target;
    const current = this.#find(target);
    const sent = body.metadata?.resourceVersion;
    if (checksVersion && sent && sent !== current.metadata.resourceVersion) {
      throw conflict({ group: kind.group, resource: kind.plural }, target.name ?? '', OBJECT_MODIFIED);
    }
    const next: Stored = structuredClone(
      subresource === 'status'
        ? { ...current, metadata: { ...current.metadata, ...body.metadata }, status: body.status ?? {} }
        : { ...body, ...(current.status && kind !== allKinds.events && { status: current.status }) },
    );
    const { uid, creationTimestamp, deletionTimestamp } = current.metadata;
    Object.assign(next.metadata, { uid, creationTimestamp, ...(deletionTimestamp && { deletionTimestamp }) });
    const isChanged = JSON.stringify(sorted(next.spec)) !== JSON.stringify(sorted(current.spec));
    next.metadata.generation = (current.metadata.generation ?? 1) + (isChanged ? 1 : 0);
    next.metadata.resourceVersion = current.metadata.resourceVersion;
    if (JSON.stringify(sorted(next)) === JSON.stringify(sorted(current))) return current;
    if (deletionTimestamp && isFree(next)) return this.#remove(kind, next);
    return this.#store('MODIFIED', kind, next);
  }

  #bind(target: Target, body: Stored): object {
    const pod = structuredClone(this.#find(target));
    const taken = { group: '', resource: 'pods/binding' };
    if (pod.spec?.nodeName)
      throw conflict(taken, target.name ?? '', `pod ${target.name} is already assigned to node "${pod.spec.nodeName}"`);
    pod.spec = { ...pod.spec, nodeName: body.target?.name };
    const others = ((pod.status?.conditions as { type: string }[] | undefined) ?? []).filter(
      ({ type }) => type !== 'PodScheduled',
    );
    pod.status = { phase: 'Pending', ...pod.status, conditions: [...others, { type: 'PodScheduled', status: 'True' }] };
    this.#store('MODIFIED', target.kind, pod);
    return { kind: 'Status', apiVersion: 'v1', status: 'Success' };
  }

  #delete(target: Target, options: { propagationPolicy?: string; preconditions?: { uid?: string } }): object {
    const { kind } = target;
    const object = structuredClone(this.#find(target));
    const { uid } = options.preconditions ?? {};
    if (uid && uid !== object.metadata.uid)
      throw conflict({ group: kind.group, resource: kind.plural }, target.name ?? '', 'the UID differs');
    const finalizer = { Foreground: 'foregroundDeletion', Orphan: 'orphan' }[options.propagationPolicy ?? ''];
    if (finalizer) object.metadata.finalizers = [...new Set([...(object.metadata.finalizers ?? []), finalizer])];
    if (kind === allKinds.namespaces) object.status = { ...object.status, phase: 'Terminating' };
    if (isFree(object)) {
      this.#remove(kind, object);
      return { kind: 'Status', apiVersion: 'v1', status: 'Success' };
    }
    object.metadata.deletionTimestamp ??= timestamp(this.#clock.now());
    object.metadata.deletionGracePeriodSeconds = 0;
    return this.#store('MODIFIED', kind, object);
  }

  #deleteCollection(target: Target): object {
    for (const { metadata } of this.#select(target)) {
      this.#delete({ ...target, namespace: metadata.namespace, name: metadata.name }, {});
    }
    return { kind: 'Status', apiVersion: 'v1', status: 'Success' };
  }

  #remove(kind: Kind, object: Stored): Stored {
    this.#objects.delete(keyFor(kind, object.metadata.namespace, object.metadata.name ?? ''));
    return this.#record('DELETED', kind, object);
  }

  #store(type: 'ADDED' | 'MODIFIED', kind: Kind, object: Stored): Stored {
    const stored = this.#record(type, kind, object);
    this.#objects.set(keyFor(kind, stored.metadata.namespace, stored.metadata.name ?? ''), stored);
    return stored;
  }

  #record(type: Change['type'], kind: Kind, object: Stored): Stored {
    const revision = ++this.#revision;
    const apiVersion = kind.group ? `${kind.group}/${kind.version}` : kind.version;
    const metadata = { ...object.metadata, resourceVersion: String(revision) };
    const stored = { ...object, apiVersion, kind: kind.kind, metadata };
    this.#history.push({ type, kind, object: stored, revision });
    for (const wake of this.#watchers) wake();
    return stored;
  }

  #watch(target: Target, signal: AbortSignal | undefined): ApiResponse {
    const from = Number(target.parameters.get('resourceVersion') ?? this.#revision);
    if (from < this.#compacted) {
      const status = expired(`too old resource version: ${from} (${this.#compacted})`).toStatus();
      return answer(200, { type: 'ERROR', object: status });
    }
    return { status: 200, headers: {}, body: this.#follow(target, from, signal) };
  }

  async *#follow(target: Target, from: number, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    const epoch = this.#epoch;
    let at = from;
    let wake = () => {};
    const notify = () => wake();
    this.#watchers.add(notify);
    signal?.addEventListener('abort', notify);
    try {
      while (!signal?.aborted && this.#epoch === epoch) {
        const isHeld = this.#held.has(target.kind.plural);
        const changes = isHeld ? [] : this.#history.filter(change => change.revision > at);
        for (const { type, kind, object, revision } of changes) {
          at = revision;
          const isWanted =
            kind === target.kind && (!target.namespace || object.metadata.namespace === target.namespace);
          if (isWanted && isSelected(target, object)) yield Buffer.from(`${JSON.stringify({ type, object })}\n`);
        }
        if (changes.length > 0) continue;
        await new Promise<void>(resolve => {
          wake = resolve;
        });
      }
    } finally {
      this.#watchers.delete(notify);
      signal?.removeEventListener('abort', notify);
    }
  }

  #discover(path: string): object | undefined {
    if (path === '/api') return { kind: 'APIVersions', versions: ['v1'] };
    if (path === '/apis') {
      const groups = [...new Set(KINDS.map(({ group }) => group).filter(Boolean))];
      return {
        kind: 'APIGroupList',
        groups: groups.map(name => {
          const versions = [
            ...new Set(KINDS.filter(kind => kind.group === name).map(kind => `${name}/${kind.version}`)),
          ];
          return {
            name,
            versions: versions.map(groupVersion => ({ groupVersion })),
            preferredVersion: { groupVersion: versions[0] },
          };
        }),
      };
    }
    const match = /^\/(?:api|apis\/([^/]+))\/([^/]+)$/.exec(path);
    if (!match) return undefined;
    const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
    const resources = KINDS.filter(({ group, version }) => group === (match[1] ?? '') && version === match[2]).map(
      ({ plural, kind, namespaced }) => ({
        name: plural,
        kind,
        namespaced,
        verbs: /Review$|^Binding$/.test(kind) ? ['create'] : verbs,
      }),
    );
    return { kind: 'APIResourceList', groupVersion: match[1] ? `${match[1]}/${match[2]}` : match[2], resources };
  }
}

function keyFor(kind: Kind, namespace: string | undefined, name: string): string {
  return `${kind.group}/${kind.plural}/${kind.namespaced && namespace ? `${namespace}/` : ''}${name}`;
}

const isFree = ({ metadata, spec }: Stored) =>
  (metadata.finalizers ?? []).length === 0 && ((spec?.finalizers as string[] | undefined) ?? []).length === 0;

function locate(path: string): Target {
  const url = new URL(path, 'http://memory');
  const parts = url.pathname.split('/').slice(1).map(decodeURIComponent);
  const group = parts[0] === 'apis' ? (parts[1] ?? '') : '';
  const [version, ...rest] = parts.slice(group ? 2 : 1);
  const isScoped =
    rest[0] === 'namespaces' &&
    rest.length > 2 &&
    !(rest.length === 3 && ['status', 'finalize'].includes(rest[2] ?? ''));
  const [plural, name, subresource = ''] = isScoped ? rest.slice(2) : rest;
  const kind = KINDS.find(
    candidate => candidate.group === group && candidate.version === version && candidate.plural === plural,
  );
  if (!kind) throw new ApiError('NotFound', 'the server could not find the requested resource');
  return { kind, namespace: isScoped ? rest[1] : undefined, name, subresource, parameters: url.searchParams };
}

function isSelected({ parameters }: Target, object: Stored): boolean {
  const fields = (parameters.get('fieldSelector') ?? '').split(',').filter(Boolean);
  const labels = (parameters.get('labelSelector') ?? '').split(',').filter(Boolean);
  return (
    labels.every(pair => object.metadata.labels?.[pair.split('=')[0] ?? ''] === pair.split('=')[1]) &&
    fields.every(pair => {
      const [field = '', value] = pair.split('=');
      const found = field
        .split('.')
        .reduce<unknown>((at, step) => (at as Record<string, unknown> | undefined)?.[step], object);
      return (found ?? '') === value;
    })
  );
}

const parse = (body: ApiRequest['body']) =>
  JSON.parse(typeof body === 'string' ? body : Buffer.from(body ?? '{}').toString());

function answer(status: number, body: object): ApiResponse {
  async function* once() {
    yield Buffer.from(JSON.stringify(body));
  }
  return { status, headers: {}, body: once() };
}

/** RFC 7386; good enough for the strategic patches that controllers send. */
function merge(target: unknown, patch: unknown): unknown {
  // Lists are always replaced here; what asks for that is no item.
  if (Array.isArray(patch)) return patch.filter(item => item?.$patch !== 'replace');
  if (typeof patch !== 'object' || patch === null) return patch;
  const merged: Record<string, unknown> = typeof target === 'object' && target !== null ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    const list = /^\$deleteFromPrimitiveList\/(.*)$/.exec(key)?.[1];
    if (list !== undefined) {
      merged[list] = ((merged[list] as unknown[] | undefined) ?? []).filter(
        item => !(value as unknown[]).includes(item),
      );
    } else if (value === null) delete merged[key];
    else merged[key] = merge(merged[key], value);
  }
  return merged;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
