/**
 * How objects, lists and watch events look to one client: whole objects as bytes that already lie in the cache, or tables
 * and partial objects made for it.
 */
import type { KindDeclaration, KubernetesObject } from '../../api/kind.ts';
import type { Printer } from '../../api/printers/printer.ts';
import { printers } from '../../api/printers/printers.ts';
import { ApiError } from '../../api/status.ts';
import type { CachedObject } from '../cache/cached-object.ts';
import { encodeStored, makeReady, metadataBytes, parseReady, type ReadyBytes } from '../cache/encoding.ts';
import type { Core } from '../core.ts';
import type { Representation } from '../http/negotiate.ts';
import { apiVersionOf, fromStored, toStored } from '../keys.ts';

/** An object's bytes in the version that `kind` serves. */
export function readyOf(kind: KindDeclaration, object: CachedObject): ReadyBytes {
  if (!kind.storedAs) return object.ready;
  return object.view(kind, stored => makeReady(encodeStored(fromStored(kind, stored)), object.revision));
}

/** A private copy of the object in the version that `kind` serves. */
export function parseAs(kind: KindDeclaration, object: CachedObject): KubernetesObject {
  if (kind.form) return parseReady(readyOf(kind, object));
  return fromStored(kind, object.parse());
}

/**
 * Makes sure that the object can be shown in the version that `kind` serves: a webhook may have to convert it. Behind this,
 * {@link readyOf} and {@link parseAs} do not wait.
 */
export async function prepareView(
  { conversions }: Pick<Core, 'conversions'>,
  kind: KindDeclaration,
  object: CachedObject | undefined,
): Promise<void> {
  if (kind.form?.convertsByWebhook && object) await conversions.settle(() => readyOf(kind, object));
}

/** The same for many objects, in few questions. */
export async function prepareViews(
  { conversions }: Pick<Core, 'conversions'>,
  kind: KindDeclaration,
  objects: readonly (CachedObject | undefined)[],
): Promise<void> {
  if (!kind.form?.convertsByWebhook) return;
  await conversions.settleAll(objects, object => object && readyOf(kind, object));
}

/** A served object as it is stored; a webhook may have to convert it. `object` stays as it is if it is a custom resource. */
export async function storedForm(
  { conversions }: Pick<Core, 'conversions'>,
  kind: KindDeclaration,
  object: KubernetesObject,
): Promise<KubernetesObject> {
  if (!kind.form) return toStored(kind, object);
  return conversions.settle(() => toStored(kind, structuredClone(object)));
}

/** What a single object's representation may not be. Throws 406. */
export function refuseListForm({ form }: Representation, kind: KindDeclaration): void {
  if (form !== 'PartialObjectMetadataList') return;
  throw formRefused(form, `the requested object is not a list (*${internalName(kind)})`);
}

export function refuseObjectForm({ form }: Representation, kind: KindDeclaration): void {
  if (form !== 'PartialObjectMetadata') return;
  throw formRefused(form, `the requested object is a list (*${internalName(kind)}List)`);
}

const formRefused = (form: string, why: string) => new ApiError('NotAcceptable', `you requested ${form}, but ${why}`);

/** Go's name of the kind, as some messages show it. */
const internalName = ({ group, kind }: KindDeclaration) => `${group === '' ? 'core' : group.split('.')[0]}.${kind}`;

/** What `includeObject` asks of a table's rows. */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

/** Reads `includeObject`. Throws 400. */
export function readIncludeObject(query: URLSearchParams): IncludeObject {
  const value = query.get('includeObject') ?? '';
  if (value === '' || value === 'Metadata') return 'Metadata';
  if (value === 'None' || value === 'Object') return value;
  throw new ApiError('BadRequest', `unrecognized includeObject value: ${JSON.stringify(value)}`);
}

/** An object's metadata alone. */
export function partialObject(object: KubernetesObject, metaVersion: string): object {
  return { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${metaVersion}`, metadata: object.metadata };
}

/** The text of that, in parts: cut out of the object's bytes, as many watches and lists are of metadata alone. */
export function partialParts(kind: KindDeclaration, object: CachedObject, metaVersion: string): readonly Buffer[] {
  const start = `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/${metaVersion}","metadata":`;
  return [Buffer.from(start), metadataBytes(readyOf(kind, object)), CLOSE];
}

const CLOSE = Buffer.from('}');
const printerOf = (kind: KindDeclaration): Printer => printers[kind.definition] ?? kind;

/** Columns as a table tells them. */
export function columnDefinitions(kind: KindDeclaration): object[] {
  return printerOf(kind).columns.map(({ name, type, format, description, priority }) => ({
    name,
    type,
    format,
    description,
    priority,
  }));
}

export interface RowOptions {
  readonly now: number;
  readonly include: IncludeObject;
  readonly metaVersion: string;
}

/** One row of a table. */
export function tableRow(kind: KindDeclaration, object: KubernetesObject, options: RowOptions): object {
  const { cells, conditions } = printerOf(kind).row(object, options.now);
  const shown =
    options.include === 'None'
      ? null
      : options.include === 'Object'
        ? object
        : partialObject(object, options.metaVersion);
  return { cells, ...(conditions && conditions.length > 0 && { conditions }), object: shown };
}

/** A whole table. `columns` are left out of later events of a watch. */
export function table(
  kind: KindDeclaration,
  objects: readonly KubernetesObject[],
  options: RowOptions & { readonly metadata: object; readonly hasColumns: boolean },
): object {
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${options.metaVersion}`,
    metadata: options.metadata,
    columnDefinitions: options.hasColumns ? columnDefinitions(kind) : null,
    rows: objects.map(object => tableRow(kind, object, options)),
  };
}

/** The list kind of a kind: `PodList`. */
export const listKind = (kind: KindDeclaration) => ({
  kind: kind.form?.listKind ?? `${kind.kind}List`,
  apiVersion: apiVersionOf(kind),
});
