/** `apply --prune`: deletes what was applied before and stands in the files no longer. */
import { ApiError } from '../../control/api/status.ts';
import type { Resource } from '../client/discovery.ts';
import { failure } from '../client/errors.ts';
import { displayName, listObjects, type ManifestObject, metadataOf, objectPath } from '../client/objects.ts';
import type { Session } from '../client/session.ts';
import { dryRunOf, dryRunQuery, type WriteFlags } from '../client/write.ts';
import { lastApplied } from './apply-patch.ts';

interface PruneFlags extends WriteFlags {
  readonly selector?: string;
  readonly pruneAllowlist?: readonly string[];
  readonly gracePeriod: number;
  readonly propagationPolicy: string;
}

/** What kubectl looks through unless told otherwise, in its order. */
const KINDS = [
  'core/v1/ConfigMap',
  'core/v1/Endpoints',
  'core/v1/Namespace',
  'core/v1/PersistentVolumeClaim',
  'core/v1/PersistentVolume',
  'core/v1/Pod',
  'core/v1/ReplicationController',
  'core/v1/Secret',
  'core/v1/Service',
  'batch/v1/Job',
  'batch/v1/CronJob',
  'networking.k8s.io/v1/Ingress',
  'apps/v1/DaemonSet',
  'apps/v1/Deployment',
  'apps/v1/ReplicaSet',
  'apps/v1/StatefulSet',
];

export async function prune(session: Session, applied: readonly ManifestObject[], flags: PruneFlags): Promise<void> {
  const kept = new Set(applied.map(keyOf));
  const namespaces = new Set(applied.filter(({ resource }) => resource.isNamespaced).map(({ namespace }) => namespace));
  for (const resource of await resourcesOf(session, flags.pruneAllowlist ?? KINDS)) {
    for (const namespace of resource.isNamespaced ? namespaces : ['']) {
      for (const object of await listObjects(session, resource, { selector: flags.selector, namespace })) {
        const { name = '' } = metadataOf(object);
        const reference = { resource, namespace, name };
        if (!lastApplied(object) || kept.has(keyOf(reference))) continue;
        await remove(session, reference, flags);
      }
    }
  }
}

const keyOf = ({ resource, namespace, name }: Pick<ManifestObject, 'resource' | 'namespace' | 'name'>): string =>
  [resource.group, resource.kind, namespace, name].join('/');

async function resourcesOf(session: Session, kinds: readonly string[]): Promise<Resource[]> {
  const served = await session.discovery.resources();
  return kinds.flatMap(text => {
    const [group = '', version = '', kind, ...more] = text.split('/');
    if (kind === undefined || more.length > 0) {
      throw failure(`invalid GroupVersionKind format: ${text}, please follow <group/version/kind>`);
    }
    const found = served.find(
      each => each.group === (group === 'core' ? '' : group) && each.version === version && each.kind === kind,
    );
    return found ? [found] : [];
  });
}

async function remove(
  session: Session,
  reference: Pick<ManifestObject, 'resource' | 'namespace' | 'name'>,
  flags: PruneFlags,
): Promise<void> {
  const mode = dryRunOf(flags);
  if (mode !== 'client') {
    await session.api
      .json('DELETE', objectPath(reference), {
        body: {
          kind: 'DeleteOptions',
          apiVersion: 'v1',
          propagationPolicy: flags.propagationPolicy,
          ...(flags.gracePeriod >= 0 && { gracePeriodSeconds: flags.gracePeriod }),
          ...(mode === 'server' && { dryRun: ['All'] }),
        },
        query: { dryRun: dryRunQuery(flags) },
      })
      .catch(error => {
        if (!(error instanceof ApiError && error.reason === 'NotFound')) throw error;
      });
  }
  const suffix = mode === 'client' ? ' (dry run)' : mode === 'server' ? ' (server dry run)' : '';
  session.print(flags.output === 'name' ? displayName(reference) : `${displayName(reference)} pruned${suffix}`);
}
