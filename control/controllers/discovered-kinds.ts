/** The kinds of the cluster as generic controllers need them: each stored thing once, and every name it goes by. */
import type { Kind } from '../api/kind.ts';
import type { ApiTransport } from '../client/client.ts';
import { type Clock, sleep } from '../client/clock.ts';
import { type DiscoveredKind, KindDiscovery } from '../client/discovery.ts';
import { apiVersionOf } from '../client/rest.ts';
import { DISCOVERY_PERIOD_MS, DISCOVERY_STALE_PERIOD_MS } from './limits.ts';

export class DiscoveredKinds {
  readonly #discovery: KindDiscovery;
  readonly #clock: Clock;
  #all: readonly DiscoveredKind[] = [];
  /** Worked out when it is asked for, and kept until kinds come or go. */
  #deletable: { readonly of: readonly DiscoveredKind[]; readonly kinds: readonly DiscoveredKind[] } | undefined;
  #refreshedMs = Number.NEGATIVE_INFINITY;
  #refreshing: Promise<void> | undefined;
  /** Counts how often kinds have come or gone. */
  #changes = 0;
  #nextChange = new AbortController();

  constructor(transport: ApiTransport, clock: Clock) {
    this.#discovery = new KindDiscovery(transport);
    this.#clock = clock;
  }

  /** Reads discovery if what is known is older than its period. */
  async refresh(): Promise<void> {
    const periodMs = this.stale.length > 0 ? DISCOVERY_STALE_PERIOD_MS : DISCOVERY_PERIOD_MS;
    if (this.#clock.now() - this.#refreshedMs < periodMs) return;
    this.#refreshing ??= this.#read();
    await this.#refreshing;
  }

  /** What is known is no longer so: a definition has come, gone or changed. */
  invalidate(): void {
    this.#changes++;
    this.#refreshedMs = Number.NEGATIVE_INFINITY;
    this.#nextChange.abort();
    this.#nextChange = new AbortController();
  }

  /** Resolves when kinds may have come or gone: told so, or after a while; or when the signal aborts. */
  nextChange(signal: AbortSignal): Promise<void> {
    return sleep(this.#clock, DISCOVERY_PERIOD_MS, AbortSignal.any([signal, this.#nextChange.signal]));
  }

  /** Groups with their versions whose server did not answer: what is known of their kinds is old, or nothing. */
  get stale(): readonly string[] {
    return this.#discovery.stale;
  }

  /** Kinds that can be listed, watched and deleted, each in one version. */
  get deletable(): readonly DiscoveredKind[] {
    if (this.#deletable?.of !== this.#all) this.#deletable = { of: this.#all, kinds: deletableOf(this.#all) };
    return this.#deletable.kinds;
  }

  /** The kind that an object reference names. */
  find(apiVersion: string, kind: string): Kind | undefined {
    return this.#all.find(candidate => candidate.kind === kind && apiVersionOf(candidate) === apiVersion);
  }

  /** A kind in all versions that it is served in, the preferred one first. */
  versionsOf(group: string, kind: string): readonly Kind[] {
    return this.#all.filter(candidate => candidate.group === group && candidate.kind === kind);
  }

  async #read(): Promise<void> {
    const changes = this.#changes;
    try {
      this.#all = await this.#discovery.read();
      if (changes === this.#changes) this.#refreshedMs = this.#clock.now();
    } finally {
      this.#refreshing = undefined;
    }
  }
}

function deletableOf(kinds: readonly DiscoveredKind[]): readonly DiscoveredKind[] {
  const seen = new Set<string>();
  return kinds.filter(kind => {
    const name = `${kind.group}/${kind.plural}`;
    if (ALIASES.has(kind.group) || seen.has(name)) return false;
    if (!['list', 'watch', 'delete'].every(verb => kind.verbs.includes(verb))) return false;
    seen.add(name);
    return true;
  });
}

/** Groups that show other groups' objects once more. */
const ALIASES: ReadonlySet<string> = new Set(['extensions', 'events.k8s.io', 'metrics.k8s.io']);
