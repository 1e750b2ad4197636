/**
 * The past, as far as the store keeps it: what an object was at a revision or a time, and which versions it had. All of it goes
 * over requests that any Kubernetes API server answers: exact lists, and watches from a revision. The store knows no time; the
 * cluster's leases, which are renewed every few seconds, tell which revision there was when.
 */
import { ApiError } from '../../control/api/status.ts';
import type { JsonObject } from './api.ts';
import { groupVersionOf, pathOf } from './discovery.ts';
import { failure } from './errors.ts';
import { metadataOf, type ObjectReference } from './objects.ts';
import type { Session } from './session.ts';

/** A revision of the store, and when it was, as far as that can be told. */
export interface Tick {
  readonly revision: number;
  readonly timeMs: number;
}

/** A version that an object had. */
export interface Version {
  readonly revision: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: JsonObject;
}

const LEASES = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases';
/** The earliest revision that any store has. */
const FIRST_REVISION = 1;
/** Watches of the past end by themselves after this. */
const REPLAY_SECONDS = 5;

type Moment =
  | { readonly type: 'revision'; readonly revision: number }
  | { readonly type: 'time'; readonly timeMs: number };

/** `4711`, `5m` (ago), `2026-01-31T15:04:05Z`. @throws CommandError for anything else. */
export function parseMoment(text: string, nowMs: number): Moment {
  if (/^\d+$/.test(text)) return { type: 'revision', revision: Number(text) };
  const units: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000 };
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)([dhms])/g)];
  if (parts.length > 0 && parts.map(([part]) => part).join('') === text) {
    const ago = parts.reduce((sum, [, number, unit]) => sum + Number(number) * (units[unit ?? ''] ?? 0), 0);
    return { type: 'time', timeMs: nowMs - ago };
  }
  const timeMs = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(timeMs)) {
    throw failure(
      `${JSON.stringify(text)} is neither a revision (4711), nor how long ago (5m), nor a time (2026-01-31T15:04:05Z)`,
    );
  }
  return { type: 'time', timeMs };
}

/** The revision that a moment means. @throws CommandError if it is no longer kept. */
export async function revisionOf(session: Session, text: string): Promise<number> {
  const moment = parseMoment(text, session.context.clock.now());
  if (moment.type === 'revision') return moment.revision;
  const ticks = await readTicks(session);
  const found = ticks.findLast(({ timeMs }) => timeMs <= moment.timeMs);
  if (found) return found.revision;
  const [oldest] = ticks;
  throw failure(
    oldest
      ? `that is longer ago than the cluster keeps its history: the oldest kept moment is ${timeText(oldest.timeMs)} (revision ${oldest.revision})`
      : 'the cluster renews no leases in kube-system, so there is nothing that tells the time of a revision: name a revision',
  );
}

export const timeText = (timeMs: number): string => `${new Date(timeMs).toISOString().slice(0, 19)}Z`;

/** The oldest revision that can still be read: the server tells when it is asked for an older one. */
async function oldestRevision(session: Session): Promise<number> {
  const query = { resourceVersion: FIRST_REVISION, timeoutSeconds: 1 };
  try {
    for await (const _event of session.api.watch(LEASES, { query })) return FIRST_REVISION;
    return FIRST_REVISION;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const told = /too old resource version: \d+ \((\d+)\)/.exec(error.message)?.[1];
    if (told === undefined) throw error;
    return Number(told);
  }
}

interface Lease extends JsonObject {
  readonly metadata: { readonly resourceVersion: string };
  readonly spec?: { readonly renewTime?: string };
}

/** Revisions with their times, oldest first. */
async function readTicks(session: Session): Promise<Tick[]> {
  const oldest = await oldestRevision(session);
  const { items } = await session.api.json<{ items: Lease[] }>('GET', LEASES);
  const last = Math.max(0, ...items.map(({ metadata }) => Number(metadata.resourceVersion)));
  const ticks: Tick[] = [];
  const add = (lease: Lease) => {
    const timeMs = Date.parse(lease.spec?.renewTime ?? '');
    const revision = Number(lease.metadata.resourceVersion);
    if (!Number.isNaN(timeMs) && revision >= oldest) ticks.push({ revision, timeMs });
  };
  if (last > oldest) {
    for await (const { object } of replay<Lease>(session, LEASES, { from: oldest, to: last })) add(object);
  } else for (const lease of items) add(lease);
  // Two who renew may differ a little: time never goes back.
  ticks.sort((a, b) => a.revision - b.revision);
  let latest = 0;
  return ticks.map(({ revision, timeMs }) => {
    latest = Math.max(latest, timeMs);
    return { revision, timeMs: latest };
  });
}

/** The events behind one revision, up to another. */
async function* replay<T extends JsonObject>(
  session: Session,
  path: string,
  { from, to, fieldSelector }: { readonly from: number; readonly to: number; readonly fieldSelector?: string },
): AsyncGenerator<{ readonly type: string; readonly object: T }> {
  const query = { resourceVersion: from, timeoutSeconds: REPLAY_SECONDS, fieldSelector };
  for await (const event of session.api.watch<T>(path, { query })) {
    yield event;
    if (Number(metadataOf(event.object).resourceVersion) >= to) return;
  }
}

/** An object at a revision; undefined if there was none. @throws CommandError if that is no longer kept. */
export async function objectAt(
  session: Session,
  { resource, namespace, name }: ObjectReference,
  revision: number,
): Promise<JsonObject | undefined> {
  const query = {
    fieldSelector: `metadata.name=${name}`,
    resourceVersion: revision,
    resourceVersionMatch: 'Exact',
  };
  const list = await session.api
    .json<{ items?: JsonObject[] }>('GET', pathOf(resource, namespace), { query })
    .catch(error => {
      throw explainExpired(error, revision);
    });
  const [found] = list.items ?? [];
  return found && { apiVersion: groupVersionOf(resource), kind: resource.kind, ...found };
}

/** Says what to do about a revision that is gone. */
export function explainExpired(error: unknown, revision: number): unknown {
  const isGone = error instanceof ApiError && (error.reason === 'Expired' || error.reason === 'Gone');
  if (!isGone) return error;
  return failure(
    `revision ${revision} is no longer kept: "raftsman history TYPE NAME" shows which versions there are, and a snapshot (raftsman snapshot) keeps a moment for good`,
    error,
  );
}

/** Every version of an object that is still kept, oldest first. */
export async function versionsOf(session: Session, reference: ObjectReference): Promise<Version[]> {
  const { resource, namespace, name } = reference;
  const oldest = await oldestRevision(session);
  const path = pathOf(resource, namespace);
  const fieldSelector = `metadata.name=${name}`;
  const now = await session.api.json<{ metadata?: { resourceVersion?: string }; items?: JsonObject[] }>('GET', path, {
    query: { fieldSelector },
  });
  const base = await objectAt(session, reference, oldest);
  const versions: Version[] = base ? [{ revision: versionOf(base), type: 'ADDED', object: base }] : [];
  const [current] = now.items ?? [];
  const last = current ? versionOf(current) : Number(now.metadata?.resourceVersion ?? 0);
  if (current && base && last === versionOf(base)) return versions;
  const own = { apiVersion: groupVersionOf(resource), kind: resource.kind };
  for await (const { type, object } of replay(session, path, { from: oldest, to: last, fieldSelector })) {
    if (type !== 'ADDED' && type !== 'MODIFIED' && type !== 'DELETED') continue;
    versions.push({ revision: versionOf(object), type, object: { ...own, ...object } });
    // Nothing tells that no more will come of an object that is gone, but that it is gone.
    if (!current && type === 'DELETED') break;
  }
  return versions;
}

const versionOf = (object: JsonObject): number => Number(metadataOf(object).resourceVersion);
