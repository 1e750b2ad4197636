/**
 * Gives definitions of custom resources their names, and empties those that are being deleted of their objects
 * (apiextensions-apiserver pkg/controller/status, establish and finalizer). Definitions are large, so only their metadata
 * is kept here; each is read when something about it has changed.
 */
import { CLEANUP_FINALIZER, planNames, withCondition } from '../api/custom/names.ts';
import { customresourcedefinitions as definitionsKind } from '../api/generated/kinds.ts';
import type { CustomResourceDefinition, CustomResourceDefinitionStatus } from '../api/generated/types.ts';
import type { Kind } from '../api/kind.ts';
import { ALL_KINDS } from '../api/registry.ts';
import { hasReason } from '../api/status.ts';
import { timestamp } from '../client/clock.ts';
import { Informer } from '../client/informer.ts';
import { type Controller, type ControllerContext, newQueue, queueController, readerOf } from './context.ts';
import type { DiscoveredKinds } from './discovered-kinds.ts';
import { INSTANCES_RETRY_MS } from './limits.ts';

/** What is remembered of a definition: its names and conditions, never its schemas. */
type Remembered = Pick<CustomResourceDefinition, 'metadata' | 'spec' | 'status'>;

export function customResourceDefinitionController(context: ControllerContext, kinds: DiscoveredKinds): Controller {
  const { client, clock, signal } = context;
  const queue = newQueue(context);
  const informer = new Informer<CustomResourceDefinition>({
    ...context,
    client: readerOf(context),
    kind: definitionsKind,
    metadataOnly: true,
  });
  /** By name; entries go with their definitions. */
  const known = new Map<string, Remembered>();

  const enqueueGroup = (name: string) => {
    for (const { metadata } of informer.list()) {
      if (metadata?.name !== name && groupOf(metadata?.name ?? '') === groupOf(name)) queue.add(metadata?.name ?? '');
    }
  };
  const changed = ({ metadata }: CustomResourceDefinition) => {
    kinds.invalidate();
    queue.add(metadata?.name ?? '');
  };
  informer.addHandler({
    added: changed,
    updated: changed,
    deleted(crd) {
      kinds.invalidate();
      const name = crd.metadata?.name ?? '';
      known.delete(name);
      // Its names are free now.
      enqueueGroup(name);
    },
  });

  const read = async (name: string): Promise<CustomResourceDefinition | undefined> => {
    try {
      const crd = await client.get(definitionsKind, { name });
      known.set(name, remembered(crd));
      return crd;
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error;
      known.delete(name);
      return undefined;
    }
  };

  /** The other definitions of the group; those that have not been met yet are read first. */
  const others = async (name: string): Promise<Remembered[]> => {
    const names = informer.list().map(({ metadata }) => metadata?.name ?? '');
    const group = names.filter(other => other !== name && groupOf(other) === groupOf(name));
    for (const other of group) if (!known.has(other)) await read(other);
    return group.flatMap(other => known.get(other) ?? []);
  };

  const writeStatus = async (
    crd: CustomResourceDefinition,
    status: CustomResourceDefinitionStatus,
    finalizers?: readonly string[],
  ): Promise<CustomResourceDefinition | undefined> => {
    const { name = '', resourceVersion } = crd.metadata ?? {};
    const metadata = { resourceVersion, ...(finalizers && { finalizers }) };
    const patch = { type: 'application/merge-patch+json' as const, body: { metadata, status } };
    try {
      return await client.patch(definitionsKind, { name }, patch, { subresource: 'status' });
    } catch (error) {
      // Gone or changed meanwhile: its news brings it here again.
      if (hasReason(error, 'NotFound') || hasReason(error, 'Conflict')) return undefined;
      throw error;
    }
  };

  const reconcile = async (name: string) => {
    const crd = await read(name);
    if (!crd) return undefined;
    if (crd.metadata?.deletionTimestamp) return empty(crd);
    const status = planNames(crd, await others(name), timestamp(clock.now()));
    if (!status) return undefined;
    const written = await writeStatus(crd, status);
    if (written) known.set(name, remembered(written));
    // A name may have become free, or taken.
    enqueueGroup(name);
    return undefined;
  };

  /** Deletes the objects of a definition, and lets it go when there are none. */
  const empty = async (crd: CustomResourceDefinition) => {
    const finalizers = crd.metadata?.finalizers ?? [];
    if (!finalizers.includes(CLEANUP_FINALIZER)) return undefined;
    if (isBuiltIn(crd)) {
      return release(crd, 'OverlappingBuiltInResource', 'instances overlap with built-in resources in storage');
    }
    const kind = kindOf(crd);
    if (!kind) return release(crd, 'NeverEstablished', 'resource was never established');
    const told = await writeStatus(
      crd,
      terminating(crd, true, 'InstanceDeletionInProgress', 'CustomResource deletion is in progress'),
    );
    if (!told) return undefined;
    const left = await deleteInstances(kind);
    return left > 0
      ? { afterMs: INSTANCES_RETRY_MS }
      : release(told, 'InstanceDeletionCompleted', 'removed all instances');
  };

  /** How many objects are left after all have been asked to go. */
  const deleteInstances = async (kind: Kind): Promise<number> => {
    const before = await client.list(kind, { metadataOnly: true });
    const namespaces = new Set(before.items.map(({ metadata }) => metadata?.namespace ?? ''));
    for (const namespace of namespaces) await client.deleteCollection(kind, namespace === '' ? {} : { namespace });
    return before.items.length === 0 ? 0 : (await client.list(kind, { metadataOnly: true })).items.length;
  };

  const release = async (crd: CustomResourceDefinition, reason: string, message: string) => {
    const finalizers = (crd.metadata?.finalizers ?? []).filter(finalizer => finalizer !== CLEANUP_FINALIZER);
    await writeStatus(crd, terminating(crd, false, reason, message), finalizers);
    return undefined;
  };

  const terminating = (crd: CustomResourceDefinition, is: boolean, reason: string, message: string) =>
    withCondition(crd.status ?? {}, {
      type: 'Terminating',
      status: is ? 'True' : 'False',
      reason,
      message,
      lastTransitionTime: timestamp(clock.now()),
    });

  // One worker: who gets a name must not depend on two being asked at once.
  const { run } = queueController(context, { name: 'crd-controller', queue, workers: 1, reconcile });
  return {
    name: 'crd-controller',
    run: async () => {
      await Promise.all([informer.run(signal), run()]);
    },
  };
}

/** Of `plural.group`; a plural has no dots. */
const groupOf = (name: string): string => name.slice(name.indexOf('.') + 1);

function remembered({ metadata, spec, status }: CustomResourceDefinition): Remembered {
  const { group, names, scope } = spec;
  return {
    ...(metadata?.name !== undefined && { metadata: { name: metadata.name } }),
    spec: { group, names, scope, versions: [] },
    ...(status && { status }),
  };
}

/** Definitions of what the server has anyway make nothing, and take nothing along. */
const isBuiltIn = ({ spec }: CustomResourceDefinition): boolean =>
  ALL_KINDS.some(({ group, plural }) => group === spec.group && plural === spec.names.plural);

/** The kind through which the objects can be reached; undefined if they never could. */
function kindOf({ spec, status }: CustomResourceDefinition): Kind | undefined {
  const isEstablished = (status?.conditions ?? []).some(
    ({ type, status: is }) => type === 'Established' && is === 'True',
  );
  // As they are stored, no converter is asked; and in that version a definition that goes can be reached in any case.
  const version = spec.versions.find(({ storage }) => storage);
  const names = status?.acceptedNames;
  if (!isEstablished || !version || !names) return undefined;
  return {
    group: spec.group,
    version: version.name,
    kind: names.kind,
    plural: names.plural,
    singular: names.singular ?? '',
    namespaced: spec.scope === 'Namespaced',
    shortNames: [],
    categories: [],
    definition: '',
  };
}
