/**
 * Says in the status of each ValidatingAdmissionPolicy which of its expressions do not fit the types of what it is about
 * (k/k pkg/controller/validatingadmissionpolicystatus).
 */
import {
  checkPolicyTypes,
  definitionType,
  namedResources,
  type RuleSchema,
  schemaType,
  type TypedKind,
} from '../api/cel/index.ts';
import {
  customresourcedefinitions as definitionsKind,
  validatingadmissionpolicies as policiesKind,
} from '../api/generated/kinds.ts';
import type { CustomResourceDefinition, ParamKind, ValidatingAdmissionPolicy } from '../api/generated/types.ts';
import { ALL_KINDS } from '../api/registry.ts';
import { hasReason } from '../api/status.ts';
import { type Controller, type ControllerContext, newQueue, queueController } from './context.ts';

/** Kinds of definitions, or of the program. */
type Wanted = (kind: { readonly version: string; readonly plural: string; readonly kind: string }) => boolean;

export function admissionPolicyController(context: ControllerContext): Controller {
  const { client, informers } = context;
  const queue = newQueue(context);
  const policies = informers.for<ValidatingAdmissionPolicy>(policiesKind);
  const enqueue = ({ metadata }: ValidatingAdmissionPolicy) => queue.add(metadata?.name ?? '');
  policies.addHandler({ added: enqueue, updated: enqueue, deleted() {} });

  /** The kinds of a group that are wanted, custom ones after those of the program. */
  const find = async (group: string, wanted: Wanted): Promise<TypedKind[]> => {
    const builtIn = ALL_KINDS.filter(kind => kind.group === group && wanted(kind));
    if (builtIn.length > 0 || !group.includes('.')) {
      return builtIn.map(({ version, kind, definition }) => ({
        group,
        version,
        kind,
        type: definitionType(definition),
      }));
    }
    const { items } = await client.list(definitionsKind);
    return items.filter(({ spec }) => spec.group === group).flatMap(crd => typesOf(crd, wanted));
  };

  const paramType = async ({ apiVersion = '', kind: name = '' }: ParamKind) => {
    const slash = apiVersion.indexOf('/');
    const version = apiVersion.slice(slash + 1);
    const group = apiVersion.slice(0, Math.max(slash, 0));
    const [found] = await find(group, other => other.kind === name && other.version === version);
    return found?.type;
  };

  const reconcile = async (name: string) => {
    const policy = policies.get(name);
    const { generation, resourceVersion } = policy?.metadata ?? {};
    if (!policy || generation === undefined || (policy.status?.observedGeneration ?? 0) >= generation) return undefined;
    const kinds: TypedKind[] = [];
    for (const { group, version, resource } of namedResources(policy)) {
      kinds.push(...(await find(group, kind => kind.version === version && kind.plural === resource)));
    }
    const params = policy.spec?.paramKind && (await paramType(policy.spec.paramKind));
    const expressionWarnings = checkPolicyTypes(policy, kinds, params);
    // A merge keeps what is not spoken of: warnings of before have to be taken away.
    const typeChecking = { expressionWarnings: expressionWarnings.length > 0 ? expressionWarnings : null };
    const body = { metadata: { resourceVersion }, status: { observedGeneration: generation, typeChecking } };
    try {
      const patch = { type: 'application/merge-patch+json' as const, body };
      await client.patch(policiesKind, { name }, patch, { subresource: 'status' });
    } catch (error) {
      // Gone or changed meanwhile: its news brings it here again.
      if (!hasReason(error, 'NotFound') && !hasReason(error, 'Conflict')) throw error;
    }
    return undefined;
  };
  return queueController(context, { name: 'validatingadmissionpolicy-status', queue, reconcile });
}

function typesOf({ spec }: CustomResourceDefinition, wanted: Wanted): TypedKind[] {
  const { group, names } = spec;
  return spec.versions.flatMap(({ name: version, schema }) => {
    if (!wanted({ version, plural: names.plural, kind: names.kind }) || !schema?.openAPIV3Schema) return [];
    // The generated type leaves open what additionalProperties are; the definition was validated.
    const known = schemaType(schema.openAPIV3Schema as RuleSchema, true);
    return known ? [{ group, version, kind: names.kind, type: known.type }] : [];
  });
}
