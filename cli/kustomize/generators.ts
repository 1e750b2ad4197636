/** Config maps and secrets that a kustomization makes of files and literals. */
import { basename } from 'node:path';
import type { JsonObject } from '../client/api.ts';
import { failure } from '../client/errors.ts';
import { fileOf, type Root } from './files.ts';
import type { GeneratorEntry, GeneratorOptions } from './kustomization.ts';
import { identityOf, identityText, isObject, isSame, metadataOf, newResource, type Resource } from './resource.ts';

/** Adds the generated object to the resources, or merges it into the one that has its name. @throws CommandError */
export function generate(
  kind: 'ConfigMap' | 'Secret',
  entry: GeneratorEntry,
  {
    root,
    common,
    resources,
  }: { readonly root: Root; readonly common: GeneratorOptions; readonly resources: Resource[] },
): void {
  const options = mergedOptions(common, entry.options ?? {});
  const object = generated(kind, entry, { root, options });
  const identity = identityOf(object);
  const existing = resources.filter(one =>
    [identityOf(one.object), ...one.earlier].some(earlier => isSame(earlier, identity)),
  );
  const behavior = entry.behavior || 'create';
  const [twin] = existing;
  if (behavior === 'create') {
    if (twin) throw failure(`may not add resource with an already registered id: ${identityText(identity)}`);
    resources.push(newResource(object, !options.disableNameSuffixHash));
    return;
  }
  if (behavior !== 'merge' && behavior !== 'replace') {
    throw failure(
      `unknown behavior ${JSON.stringify(behavior)} of ${identityText(identity)}: create, merge or replace`,
    );
  }
  if (!twin) throw failure(`${identityText(identity)} does not exist; cannot merge or replace`);
  if (existing.length > 1) throw failure(`found multiple objects that ${identityText(identity)} could ${behavior}`);
  const kept = metadataOf(twin.object);
  const added = metadataOf(object);
  const labels = { ...kept.labels, ...added.labels };
  const annotations = { ...kept.annotations, ...added.annotations };
  const metadata = {
    ...kept,
    ...(Object.keys(labels).length > 0 && { labels }),
    ...(Object.keys(annotations).length > 0 && { annotations }),
  };
  const data = (name: string) => ({
    ...(isObject(twin.object[name]) ? twin.object[name] : {}),
    ...(isObject(object[name]) ? object[name] : {}),
  });
  const both: JsonObject = { ...twin.object, ...object, metadata };
  for (const name of behavior === 'merge' ? ['data', 'binaryData'] : []) {
    if (twin.object[name] !== undefined || object[name] !== undefined) both[name] = data(name);
  }
  twin.object = both;
  twin.needsHash ||= !options.disableNameSuffixHash;
}

function mergedOptions(common: GeneratorOptions, own: GeneratorOptions): GeneratorOptions {
  return {
    labels: { ...common.labels, ...own.labels },
    annotations: { ...common.annotations, ...own.annotations },
    disableNameSuffixHash: (common.disableNameSuffixHash ?? false) || (own.disableNameSuffixHash ?? false),
    immutable: (common.immutable ?? false) || (own.immutable ?? false),
  };
}

function generated(
  kind: 'ConfigMap' | 'Secret',
  entry: GeneratorEntry,
  { root, options }: { readonly root: Root; readonly options: GeneratorOptions },
): JsonObject {
  if (!entry.name) throw failure(`a ${kind === 'Secret' ? 'secretGenerator' : 'configMapGenerator'} needs a name`);
  const data: Record<string, string> = {};
  const binaryData: Record<string, string> = {};
  for (const [key, bytes] of pairsOf(entry, root)) {
    const text = bytes.toString('utf8');
    if (kind === 'Secret') data[key] = bytes.toString('base64');
    else if (Buffer.from(text).equals(bytes)) data[key] = text;
    else binaryData[key] = bytes.toString('base64');
  }
  const has = (map: object | undefined) => map !== undefined && Object.keys(map).length > 0;
  return {
    apiVersion: 'v1',
    kind,
    metadata: {
      name: entry.name,
      ...(entry.namespace && { namespace: entry.namespace }),
      ...(has(options.labels) && { labels: options.labels }),
      ...(has(options.annotations) && { annotations: options.annotations }),
    },
    ...(kind === 'Secret' && { type: entry.type || 'Opaque' }),
    ...(has(data) && { data }),
    ...(has(binaryData) && { binaryData }),
    ...(options.immutable && { immutable: true }),
  };
}

function pairsOf(entry: GeneratorEntry, root: Root): Map<string, Buffer> {
  const pairs = new Map<string, Buffer>();
  const add = (key: string, value: Buffer) => {
    if (pairs.has(key)) throw failure(`${entry.name} has the key ${JSON.stringify(key)} twice`);
    pairs.set(key, value);
  };
  for (const source of [...(entry.envs ?? []), ...(entry.env ? [entry.env] : [])]) {
    for (const [key, value] of linesOf(fileOf(source, root).toString(), root.env)) add(key, Buffer.from(value));
  }
  for (const source of entry.files ?? []) {
    const split = source.indexOf('=');
    const path = source.slice(split + 1);
    add(split < 0 ? basename(path) : source.slice(0, split), fileOf(path, root));
  }
  for (const literal of entry.literals ?? []) {
    const split = literal.indexOf('=');
    if (split < 1) {
      throw failure(
        `loading KV pairs: literal sources [${entry.literals?.join(' ')}]: invalid literal source ${literal}, expected key=value`,
      );
    }
    add(literal.slice(0, split), Buffer.from(unquoted(literal.slice(split + 1))));
  }
  return pairs;
}

/** A literal may be in quotes as for a shell; lines of files are taken as they are. */
function unquoted(text: string): string {
  const [quote = ''] = text;
  return text.length > 1 && /["']/.test(quote) && text.endsWith(quote) ? text.slice(1, -1) : text;
}

function linesOf(text: string, env: Root['env']): [string, string][] {
  return text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .map(line => line.trimStart())
    .filter(line => line !== '' && !line.startsWith('#'))
    .map(line => {
      const split = line.indexOf('=');
      return split < 0 ? [line, env[line] ?? ''] : [line.slice(0, split), line.slice(split + 1)];
    });
}
