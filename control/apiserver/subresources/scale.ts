/** `scale`: the replica count of a workload as an autoscaling/v1 Scale, the same for all kinds that have one. */
import type { LabelSelector, Scale } from '../../api/generated/types.ts';
import type { Kind, KindDeclaration, KubernetesObject } from '../../api/kind.ts';
import { decode } from '../../api/schema/decode.ts';
import { badRequest, invalid } from '../../api/status.ts';
import type { CachedObject } from '../cache/cached-object.ts';
import type { Core, ResourceRequest } from '../core.ts';
import { bodyFormat, negotiate } from '../http/negotiate.ts';
import { objectReply } from '../http/replies.ts';
import type { Reply } from '../types.ts';
import { readConsistent } from '../verbs/get.ts';
import { readWriteOptions } from '../verbs/options.ts';
import { decodePatched, readPatch } from '../verbs/patch.ts';
import { parseAs } from '../verbs/representation.ts';
import { changeObject } from '../verbs/update.ts';

const SCALE: Kind<Scale> = {
  group: 'autoscaling',
  version: 'v1',
  kind: 'Scale',
  plural: 'scale',
  singular: 'scale',
  namespaced: true,
  shortNames: [],
  categories: [],
  definition: 'io.k8s.api.autoscaling.v1.Scale',
};

/** What all scalable workloads have. ReplicationControllers select by plain labels. */
interface Scalable extends KubernetesObject {
  spec?: { replicas?: number; selector?: LabelSelector | Record<string, string> };
  status?: { replicas?: number };
}

export async function scale(core: Core, request: ResourceRequest): Promise<Reply> {
  const { kind, info } = request;
  if (info.verb === 'get') {
    const object = await readConsistent(core, kind, { namespace: info.namespace, name: info.name });
    return scaleReply(request, object);
  }
  const change = await readChange(request);
  const stored = await changeObject(core, request, {
    isDryRun: change.isDryRun,
    change(old: Scalable): Scalable {
      const sent = change.apply(scaleOf(kind, old));
      checkScale(request, sent);
      const { resourceVersion } = sent.metadata ?? {};
      const metadata = { ...old.metadata };
      if (resourceVersion) metadata.resourceVersion = resourceVersion;
      return { ...old, metadata, spec: { ...old.spec, replicas: sent.spec?.replicas ?? 0 } };
    },
  });
  return scaleReply(request, stored);
}

interface Change {
  readonly isDryRun: boolean;
  apply(old: Scale): Scale;
}

async function readChange(request: ResourceRequest): Promise<Change> {
  const { exchange, info } = request;
  if (info.verb === 'update') {
    const { isDryRun, fieldValidation } = readWriteOptions(exchange.query, 'UpdateOptions');
    const format = bodyFormat(exchange.headers['content-type']);
    if (format === 'protobuf') throw badRequest('a Scale must be sent as JSON or YAML');
    const text = new TextDecoder().decode(await exchange.readBody());
    const { object, warnings } = decode(SCALE, text, { fieldValidation, format });
    exchange.warnings.push(...warnings);
    return { isDryRun, apply: () => object };
  }
  const read = await readPatch(request, SCALE.definition);
  const { isDryRun, fieldValidation } = readWriteOptions(exchange.query, 'PatchOptions');
  // A patch's result is read by kind only; none of the declaration's behaviour applies to a Scale.
  const declaration = { ...request.kind, ...SCALE, defaults: () => undefined } as KindDeclaration;
  return { isDryRun, apply: old => decodePatched(declaration, read, { old, fieldValidation }).object as Scale };
}

function checkScale({ info }: ResourceRequest, { metadata, spec }: Scale): void {
  const name = metadata?.name ?? '';
  if (name !== info.name) {
    throw badRequest(`the name of the object (${name}) does not match the name on the URL (${info.name})`);
  }
  const replicas = spec?.replicas ?? 0;
  if (replicas >= 0) return;
  throw invalid({ group: 'autoscaling', kind: 'Scale' }, name, [
    {
      type: 'FieldValueInvalid',
      field: 'spec.replicas',
      message: `Invalid value: ${replicas}: must be greater than or equal to 0`,
    },
  ]);
}

function scaleOf(kind: KindDeclaration, object: Scalable): Scale {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata ?? {};
  const selector = selectorText(kind, object.spec?.selector);
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: {
      ...(name && { name }),
      ...(namespace && { namespace }),
      ...(uid && { uid }),
      ...(resourceVersion && { resourceVersion }),
      ...(creationTimestamp && { creationTimestamp }),
    },
    spec: { ...(object.spec?.replicas && { replicas: object.spec.replicas }) },
    status: { replicas: object.status?.replicas ?? 0, ...(selector && { selector }) },
  };
}

function scaleReply({ kind, exchange }: ResourceRequest, object: CachedObject): Reply {
  const { mediaType } = negotiate(exchange.headers.accept);
  const scaled = scaleOf(kind, parseAs(kind, object) as Scalable);
  return objectReply(200, Buffer.from(JSON.stringify(scaled)), mediaType);
}

/** A label selector in the form of a query: `app=web,tier in (a,b)`. */
function selectorText(kind: KindDeclaration, selector: LabelSelector | Record<string, string> | undefined): string {
  if (!selector) return '';
  const isPlain = kind.group === '' && kind.plural === 'replicationcontrollers';
  const { matchLabels = {}, matchExpressions = [] } = (isPlain ? { matchLabels: selector } : selector) as LabelSelector; // told apart by the kind
  const parts = Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`);
  for (const { key, operator, values = [] } of matchExpressions) {
    const list = `(${[...values].sort().join(',')})`;
    if (operator === 'In') parts.push(`${key} in ${list}`);
    else if (operator === 'NotIn') parts.push(`${key} notin ${list}`);
    else parts.push(operator === 'Exists' ? key : `!${key}`);
  }
  return parts.sort().join(',');
}
