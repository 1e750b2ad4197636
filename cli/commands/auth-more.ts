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
import { dryRunOf, printWritten, type WriteFlags } from '../client/write.ts';
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
  if (dryRunOf(flags) === 'server') throw failure('--dry-run=server for command reconcile is not supported yet');
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
    const query = { fieldManager: 'kubectl-auth-reconcile' };
    if (current) await session.api.json('PUT', objectPath(manifest), { body: next, query });
    else {
      await makeNamespace(session, manifest);
      await session.api.json('POST', pathOf(manifest.resource, manifest.namespace), { body: next, query });
    }
  }
  printWritten(session, { ...manifest, object: next }, 'reconciled', flags);
  if (!isSame) tellChanges(session, { current, wanted: manifest.object, flags });
}

/** What roles are about has to be somewhere. */
async function makeNamespace(session: Session, { resource, namespace }: ManifestObject): Promise<void> {
  if (!resource.isNamespaced) return;
  const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } };
  await session.api.json('POST', '/api/v1/namespaces', { body }).catch(error => {
    if (!(error instanceof ApiError) || error.reason !== 'AlreadyExists') throw error;
  });
}

/** What was done and why, for a person. */
function tellChanges(
  session: Session,
  {
    current,
    wanted,
    flags,
  }: { readonly current: JsonObject | undefined; readonly wanted: JsonObject; readonly flags: ReconcileFlags },
): void {
  session.error(`\treconciliation required ${current ? 'update' : 'create'}`);
  const tell = (title: string, items: readonly JsonObject[], text: (item: JsonObject) => string) => {
    if (items.length > 0) session.error(`\t${title}:`);
    for (const item of items) session.error(`\t\t${text(item)}`);
  };
  const before = current ?? {};
  tell('missing subjects added', lacking(before, wanted, 'subjects'), subjectText);
  if (flags.removeExtraSubjects) tell('extra subjects removed', lacking(wanted, before, 'subjects'), subjectText);
  tell('missing rules added', lacking(before, wanted, 'rules'), ruleText);
  if (flags.removeExtraPermissions) tell('extra rules removed', lacking(wanted, before, 'rules'), ruleText);
}

/** What the second has and the first has not. */
function lacking(first: JsonObject, second: JsonObject, field: 'rules' | 'subjects'): JsonObject[] {
  const known = new Set(((first[field] ?? []) as JsonObject[]).map(jsonText));
  return ((second[field] ?? []) as JsonObject[]).filter(item => !known.has(jsonText(item)));
}

/** As Go prints structures with their fields' names. */
const subjectText = ({ kind = '', apiGroup = '', name = '', namespace = '' }: JsonObject): string =>
  `{Kind:${kind} APIGroup:${apiGroup} Name:${name} Namespace:${namespace}}`;

function ruleText(rule: JsonObject): string {
  const words = (field: string) => `[${((rule[field] ?? []) as string[]).join(' ')}]`;
  return `{Verbs:${words('verbs')} APIGroups:${words('apiGroups')} Resources:${words('resources')} ResourceNames:${words('resourceNames')} NonResourceURLs:${words('nonResourceURLs')}}`;
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
