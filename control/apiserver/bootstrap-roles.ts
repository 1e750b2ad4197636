/**
 * The roles and bindings that every cluster has (k/k plugin/pkg/auth/authorizer/rbac/bootstrappolicy), made and kept at
 * least as strong as they are meant to be: at each start what is missing is added, and nothing is taken away. Whoever does
 * not want that for an object says so with the annotation rbac.authorization.kubernetes.io/autoupdate=false.
 */
import { clusterrolebindings, clusterroles, rolebindings, roles } from '../api/generated/kinds.ts';
import { CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES } from '../api/generated/rbac-policy.ts';
import type {
  ClusterRole,
  ClusterRoleBinding,
  LabelSelector,
  ObjectMeta,
  RbacV1Subject,
  Role,
  RoleBinding,
} from '../api/generated/types.ts';
import type { Kind, KubernetesObject } from '../api/kind.ts';
import { isEqual } from '../api/schema/equal.ts';
import { missingRules } from './auth/rbac/cover.ts';
import { type BootstrapCaller, call, create, pathOf } from './bootstrap-call.ts';
import { PRODUCT_BINDINGS, PRODUCT_ROLES } from './product-roles.ts';

const AUTO_UPDATE = 'rbac.authorization.kubernetes.io/autoupdate';
/** How many are written at once: enough to share the store's batches, few beside what clients send. */
const WRITES_AT_ONCE = 8;

type AnyRole = Role | ClusterRole;
type AnyBinding = RoleBinding | ClusterRoleBinding;

/** What is to be done with one object; nothing if there is nothing to do. */
export type Step =
  | { readonly type: 'create' | 'update' | 'recreate'; readonly object: KubernetesObject }
  | { readonly type: 'nothing' };

/** Makes what is missing. Throws ApiError; the caller tries again. */
export async function reconcileRoles(caller: BootstrapCaller): Promise<void> {
  await reconcileKind<AnyRole>(caller, {
    kind: clusterroles,
    wanted: [...CLUSTER_ROLES, ...PRODUCT_ROLES],
    plan: planRole,
  });
  const bindings = [...CLUSTER_ROLE_BINDINGS, ...PRODUCT_BINDINGS];
  await reconcileKind<AnyBinding>(caller, { kind: clusterrolebindings, wanted: bindings, plan: planBinding });
  await reconcileKind<AnyRole>(caller, { kind: roles, wanted: ROLES, plan: planRole });
  await reconcileKind<AnyBinding>(caller, { kind: rolebindings, wanted: ROLE_BINDINGS, plan: planBinding });
}

interface Reconciliation<T extends KubernetesObject> {
  readonly kind: Kind;
  readonly wanted: readonly T[];
  plan(existing: T | undefined, wanted: T): Step;
}

async function reconcileKind<T extends KubernetesObject>(
  caller: BootstrapCaller,
  { kind, wanted, plan }: Reconciliation<T>,
): Promise<void> {
  const path = pathOf(kind, {}, { isCollection: true });
  const { items } = await call<KubernetesObject & { items: T[] }>(caller, { method: 'GET', path });
  const existing = new Map(items.map(item => [idOf(item), item]));
  const todo = wanted.map(object => plan(existing.get(idOf(object)), object)).filter(({ type }) => type !== 'nothing');
  for (let index = 0; index < todo.length; index += WRITES_AT_ONCE) {
    await Promise.all(todo.slice(index, index + WRITES_AT_ONCE).map(step => perform(caller, kind, step)));
  }
}

const idOf = ({ metadata }: KubernetesObject) => `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`;

async function perform(caller: BootstrapCaller, kind: Kind, step: Step): Promise<void> {
  if (step.type === 'nothing') return;
  const { object } = step;
  if (step.type === 'recreate') await call(caller, { method: 'DELETE', path: pathOf(kind, object) });
  if (step.type === 'update') await call(caller, { method: 'PUT', path: pathOf(kind, object), body: object });
  else await create(caller, kind, object);
}

/** A role gets the rules and the selectors that it lacks. Pure. */
export function planRole(existing: AnyRole | undefined, wanted: AnyRole): Step {
  if (!existing) return { type: 'create', object: wanted };
  if (isProtected(existing)) return { type: 'nothing' };
  const missing = missingRules(existing.rules, wanted.rules);
  const selectors = missingSelectors(existing, wanted);
  const metadata = mergeMetadata(existing.metadata, wanted.metadata);
  if (missing.length === 0 && selectors.length === 0 && isEqual(metadata, existing.metadata))
    return { type: 'nothing' };
  const object: ClusterRole = { ...existing, metadata, rules: [...(existing.rules ?? []), ...missing] };
  if (selectors.length > 0) {
    object.aggregationRule = { clusterRoleSelectors: [...selectorsOf(existing), ...selectors] };
  }
  return { type: 'update', object };
}

const selectorsOf = (role: AnyRole): readonly LabelSelector[] =>
  (role as ClusterRole).aggregationRule?.clusterRoleSelectors ?? [];

const missingSelectors = (existing: AnyRole, wanted: AnyRole): LabelSelector[] =>
  selectorsOf(wanted).filter(selector => !selectorsOf(existing).some(other => isEqual(other, selector)));

/** A binding gets the subjects that it lacks; one to another role is made anew, for that cannot be changed. Pure. */
export function planBinding(existing: AnyBinding | undefined, wanted: AnyBinding): Step {
  if (!existing) return { type: 'create', object: wanted };
  if (isProtected(existing)) return { type: 'nothing' };
  if (!isEqual(existing.roleRef, wanted.roleRef)) return { type: 'recreate', object: wanted };
  const held = existing.subjects ?? [];
  const missing = (wanted.subjects ?? []).filter(subject => !held.some(other => isSameSubject(other, subject)));
  const metadata = mergeMetadata(existing.metadata, wanted.metadata);
  if (missing.length === 0 && isEqual(metadata, existing.metadata)) return { type: 'nothing' };
  const subjects = [...held, ...missing];
  return { type: 'update', object: { ...existing, metadata, ...(subjects.length > 0 && { subjects }) } as AnyBinding };
}

const isSameSubject = (a: RbacV1Subject, b: RbacV1Subject) =>
  a.kind === b.kind && a.name === b.name && (a.namespace ?? '') === (b.namespace ?? '');

const isProtected = ({ metadata }: KubernetesObject) => metadata?.annotations?.[AUTO_UPDATE] === 'false';

/** What the existing object says stays. */
function mergeMetadata(existing: ObjectMeta | undefined, wanted: ObjectMeta | undefined): ObjectMeta {
  return {
    ...existing,
    labels: { ...wanted?.labels, ...existing?.labels },
    annotations: { ...wanted?.annotations, ...existing?.annotations },
  };
}
