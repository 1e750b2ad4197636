/** `auth can-i --list` and `auth reconcile`. */
import type { PolicyRule } from '../../control/api/generated/types.ts';
import { ApiError } from '../../control/api/status.ts';
import type { JsonObject } from '../client/api.ts';
import { pathOf } from '../client/discovery.ts';
import { failure } from '../client/errors.ts';
import {
  forEachObject,
  type ManifestObject,
  manifestObjects,
  objectPath,
  type SelectionFlags,
} from '../client/objects.ts';
import type { Session } from '../client/session.ts';
import { dryRunOf, dryRunQuery, printWritten, type WriteFlags } from '../client/write.ts';
import { ruleRows } from '../describe/access.ts';
import { jsonText } from '../output/documents.ts';
import { TableWriter } from '../output/tables.ts';

/** All that the user may do in a namespace, as far as the server can tell. */
export async function listAllowed(session: Session, { headers }: { readonly headers: boolean }): Promise<void> {
  const { status = {} } = await session.api.json<{
    status?: {
      resourceRules?: PolicyRule[];
      nonResourceRules?: PolicyRule[];
      incomplete?: boolean;
      evaluationError?: string;
    };
  }>('POST', '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', {
    body: {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectRulesReview',
      spec: { namespace: session.namespace },
    },
  });
  if (status.incomplete) {
    session.error(`warning: the list may be incomplete: ${status.evaluationError ?? ''}`);
  }
  const rules = [...(status.resourceRules ?? []), ...(status.nonResourceRules ?? [])];
  const header = ['Resources', 'Non-Resource URLs', 'Resource Names', 'Verbs'];
  const rows = ruleRows(rules);
  new TableWriter(line => session.print(line)).print(headers ? [header, ...rows] : rows);
}

export interface ReconcileFlags extends WriteFlags, SelectionFlags {
  readonly removeExtraPermissions?: boolean;
  readonly removeExtraSubjects?: boolean;
}

const KINDS = ['Role', 'ClusterRole', 'RoleBinding', 'ClusterRoleBinding'];

/** Makes roles and bindings hold at least what the files say. */
export async function reconcile(session: Session, words: readonly string[], flags: ReconcileFlags): Promise<void> {
  if (words.length > 0) throw failure('no arguments are allowed');
  if (!flags.filename?.length && !flags.kustomize) throw failure('must specify one of -f and -k');
  const manifests = await manifestObjects(session, flags, 'reconcile');
  const wanted = manifests.filter(({ resource }) => KINDS.includes(resource.kind));
  await forEachObject(session, wanted, manifest => reconcileOne(session, manifest, flags), 'reconciling');
}

async function reconcileOne(session: Session, manifest: ManifestObject, flags: ReconcileFlags): Promise<void> {
  const current = await session.api.json('GET', objectPath(manifest)).catch(error => {
    if (error instanceof ApiError && error.reason === 'NotFound') return undefined;
    throw error;
  });
  const next = current ? merged(current, manifest.object, flags) : manifest.object;
  const isSame = current !== undefined && jsonText(next) === jsonText(current);
  if (!isSame && dryRunOf(flags) !== 'client') {
    const query = { dryRun: dryRunQuery(flags), fieldManager: 'kubectl-auth-reconcile' };
    if (current) await session.api.json('PUT', objectPath(manifest), { body: next, query });
    else await session.api.json('POST', pathOf(manifest.resource, manifest.namespace), { body: next, query });
  }
  printWritten(session, { ...manifest, object: next }, 'reconciled', flags);
}

/** What is there and what is wanted; what is there besides stays, unless it is told to go. */
export function merged(current: JsonObject, wanted: JsonObject, flags: ReconcileFlags): JsonObject {
  const join = (field: 'rules' | 'subjects', removesExtra: boolean | undefined): unknown => {
    const before = (current[field] ?? []) as JsonObject[];
    const after = (wanted[field] ?? []) as JsonObject[];
    const known = new Set(before.map(jsonText));
    return removesExtra ? after : [...before, ...after.filter(item => !known.has(jsonText(item)))];
  };
  const next = { ...current };
  if ('rules' in wanted || 'rules' in current) next.rules = join('rules', flags.removeExtraPermissions);
  if ('subjects' in wanted || 'subjects' in current) next.subjects = join('subjects', flags.removeExtraSubjects);
  return next;
}
