/**
 * OpenAPI v2 documents as one (kube-aggregator pkg/controllers/openapi/aggregator). Pure. Of a document of another server
 * only the paths of its groups are taken, and the definitions that they reach; a definition whose name is taken by a
 * different one gets another name.
 */
import { isObject } from '../../api/patch/json.ts';
import { isEqual } from '../../api/schema/equal.ts';

type Json = Readonly<Record<string, unknown>>;

const REF = '#/definitions/';

export interface RemoteOpenApi {
  /** `/apis/GROUP/VERSION` of what is taken. */
  readonly prefixes: readonly string[];
  readonly document: Json;
}

/** This server's document with those parts of the others that are theirs. */
export function mergeOpenApi(own: Json, remotes: readonly RemoteOpenApi[]): Json {
  const paths: Record<string, unknown> = { ...objectOf(own.paths) };
  const definitions: Record<string, unknown> = { ...objectOf(own.definitions) };
  for (const { prefixes, document } of remotes) {
    const isTheirs = (path: string) => prefixes.some(prefix => path === prefix || path.startsWith(`${prefix}/`));
    const taken = Object.entries(objectOf(document.paths)).filter(([path]) => isTheirs(path));
    const theirs = objectOf(document.definitions);
    const names = namesFor(reachable(Object.fromEntries(taken), theirs), { theirs, present: definitions });
    for (const [path, item] of taken) paths[path] = renamed(item, names);
    for (const [name, given] of names) definitions[given] ??= renamed(theirs[name], names);
  }
  return { ...own, paths, definitions };
}

const objectOf = (value: unknown): Json => (isObject(value) ? value : {});

/** The definitions that a value names, and those that they name. */
function reachable(root: unknown, definitions: Json): Set<string> {
  const found = new Set<string>();
  const open: unknown[] = [root];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (Array.isArray(value)) open.push(...value);
    else if (isObject(value)) {
      const { $ref } = value;
      if (typeof $ref === 'string' && $ref.startsWith(REF)) {
        const name = $ref.slice(REF.length);
        if (!found.has(name) && Object.hasOwn(definitions, name)) {
          found.add(name);
          open.push(definitions[name]);
        }
      }
      open.push(...Object.values(value).filter(member => typeof member === 'object' && member !== null));
    }
  }
  return found;
}

/** Under which name each definition stands in the merged document. */
function namesFor(
  names: ReadonlySet<string>,
  { theirs, present }: { readonly theirs: Json; readonly present: Json },
): Map<string, string> {
  const chosen = new Map<string, string>();
  for (const name of names) {
    let candidate = name;
    for (let number = 2; Object.hasOwn(present, candidate) && !isEqual(present[candidate], theirs[name]); number++) {
      candidate = `${name}_v${number}`;
    }
    chosen.set(name, candidate);
  }
  return chosen;
}

/** A copy whose references have the names that were chosen. */
function renamed(value: unknown, names: ReadonlyMap<string, string>): unknown {
  if (Array.isArray(value)) return value.map(item => renamed(item, names));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => {
      if (key !== '$ref' || typeof member !== 'string' || !member.startsWith(REF)) return [key, renamed(member, names)];
      const name = member.slice(REF.length);
      return [key, REF + (names.get(name) ?? name)];
    }),
  );
}
