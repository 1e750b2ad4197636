/**
 * From client-side to server-side apply: what earlier applies of this program own becomes what server-side apply owns, so that a
 * field which leaves the manifest leaves the object as well. (KEP-555; k8s.io/client-go/util/csaupgrade)
 */
import type { JsonObject } from '../client/api.ts';
import { groupVersionOf } from '../client/discovery.ts';
import { type ManifestObject, metadataOf, objectPath } from '../client/objects.ts';
import type { Session } from '../client/session.ts';
import { LAST_APPLIED } from './apply-patch.ts';

const CLIENT_SIDE_MANAGER = 'kubectl-client-side-apply';
const SERVER_SIDE_MANAGER = 'kubectl';
const ANNOTATION_MANAGER = 'kubectl-last-applied';

interface ManagedFields extends JsonObject {
  readonly manager?: string;
  readonly operation?: string;
  readonly subresource?: string;
  readonly fieldsV1?: JsonObject;
}

/** Tells whether there was something to take over; then the manifest must be applied once more. */
export async function migrate(session: Session, manifest: ManifestObject, object: JsonObject): Promise<boolean> {
  const annotation = metadataOf(object).annotations?.[LAST_APPLIED];
  if (annotation !== undefined) await keepAnnotation(session, manifest, annotation);
  const current = annotation === undefined ? object : await session.api.json('GET', objectPath(manifest));
  const { managedFields, resourceVersion } = current.metadata as {
    managedFields?: ManagedFields[];
    resourceVersion?: string;
  };
  const upgraded = upgradedFields(managedFields ?? []);
  if (!upgraded) return false;
  await session.api.json('PATCH', objectPath(manifest), {
    contentType: 'application/json-patch+json',
    body: [
      { op: 'replace', path: '/metadata/managedFields', value: upgraded },
      { op: 'replace', path: '/metadata/resourceVersion', value: resourceVersion },
    ],
    query: { fieldManager: SERVER_SIDE_MANAGER },
  });
  return true;
}

/** The annotation stays for those who go back to client-side apply; it has an owner of its own. */
async function keepAnnotation(session: Session, manifest: ManifestObject, annotation: string): Promise<void> {
  const { resource, namespace, name } = manifest;
  await session.api.json('PATCH', objectPath(manifest), {
    contentType: 'application/apply-patch+yaml',
    body: {
      apiVersion: groupVersionOf(resource),
      kind: resource.kind,
      metadata: { name, ...(resource.isNamespaced && { namespace }), annotations: { [LAST_APPLIED]: annotation } },
    },
    query: { fieldManager: ANNOTATION_MANAGER, force: true },
  });
}

/** What the fields are to be managed by; undefined if client-side apply owns none of them. */
function upgradedFields(entries: readonly ManagedFields[]): ManagedFields[] | undefined {
  const isClientSide = ({ manager, operation, subresource, fieldsV1 }: ManagedFields) =>
    operation === 'Update' && !subresource && (manager === CLIENT_SIDE_MANAGER || ownsAnnotation(fieldsV1));
  const former = entries.filter(isClientSide);
  if (former.length === 0) return undefined;
  const isOwn = ({ manager, operation, subresource }: ManagedFields) =>
    manager === SERVER_SIDE_MANAGER && operation === 'Apply' && !subresource;
  const own = entries.find(isOwn) ?? { ...former[0], manager: SERVER_SIDE_MANAGER, operation: 'Apply', fieldsV1: {} };
  const fieldsV1 = former.reduce((all, { fieldsV1: more = {} }) => union(all, more), own.fieldsV1 ?? {});
  const rest = entries.filter(entry => !isClientSide(entry) && !isOwn(entry));
  return [{ ...own, fieldsV1 }, ...rest];
}

function ownsAnnotation(fields: JsonObject | undefined): boolean {
  const metadata = fields?.['f:metadata'] as JsonObject | undefined;
  const annotations = metadata?.['f:annotations'] as JsonObject | undefined;
  return annotations?.[`f:${LAST_APPLIED}`] !== undefined;
}

/** Field sets are trees of objects: a node of one is a node of both. */
function union(a: JsonObject, b: JsonObject): JsonObject {
  const result: JsonObject = { ...a };
  for (const [key, value] of Object.entries(b)) {
    const before = result[key];
    result[key] = before === undefined ? value : union(before as JsonObject, value as JsonObject);
  }
  return result;
}
