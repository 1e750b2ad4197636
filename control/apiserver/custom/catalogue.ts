/**
 * All kinds that this server serves at the moment: those of the program, and those that CustomResourceDefinitions have
 * brought. It follows the watch cache, so every master has the same kinds as soon as its cache has the definition. A kind
 * that is not there may have come a moment ago through another master: {@link Catalogue.locate} asks before it denies.
 */
import { type CustomContext, declareCustom } from '../../api/custom/declaration.ts';
import { type CustomDefinition, type CustomVersion, readDefinition } from '../../api/custom/definition.ts';
import { customresourcedefinitions } from '../../api/generated/kinds.ts';
import type { CustomResourceDefinition } from '../../api/generated/types.ts';
import type { KindDeclaration } from '../../api/kind.ts';
import { ALL_KINDS, findResource } from '../../api/registry.ts';
import type { CachedObject } from '../cache/cached-object.ts';
import type { WatchCache } from '../cache/watch-cache.ts';
import { resourcePrefix } from '../keys.ts';

export interface CatalogueOptions {
  readonly cache: WatchCache;
  readonly context: CustomContext;
}

/** A definition and the kinds that it makes. */
export interface CustomEntry {
  readonly definition: CustomDefinition;
  readonly kinds: readonly KindDeclaration[];
  /** The resource version of the definition that was read. */
  readonly revision: number;
}

/** A version that is told to clients, with what it belongs to. */
export interface PublishedVersion {
  readonly definition: CustomDefinition;
  readonly version: CustomVersion;
  readonly kind: KindDeclaration;
  /** The whole definition, read anew: with the words that only people read. */
  readonly source: () => CustomResourceDefinition;
}

const DEFINITIONS = resourcePrefix(customresourcedefinitions);
/** A definition of one of these makes no kind: its objects would be those of the program. */
const BUILT_IN_RESOURCES: ReadonlySet<string> = new Set(ALL_KINDS.map(({ group, plural }) => `${group}/${plural}`));
const BUILT_IN_GROUPS: ReadonlySet<string> = new Set(ALL_KINDS.map(({ group }) => group));

export class Catalogue {
  readonly #options: CatalogueOptions;
  /** By the definition's key in the store. */
  readonly #entries = new Map<string, CustomEntry>();
  /** `group/version/plural`. */
  #byResource = new Map<string, KindDeclaration>();
  #sources = new Map<string, CachedObject>();
  #isStale = true;
  #revision = 1;

  constructor(options: CatalogueOptions) {
    this.#options = options;
    options.cache.resource(DEFINITIONS).watchers.add({
      offer: ({ object, previous }) => {
        if (this.#isStale) return;
        const key = (object ?? previous)?.key;
        if (key !== undefined) this.#take(key, object);
      },
      // The cache begins anew: so does the catalogue, when it is asked next.
      lost: () => {
        this.#isStale = true;
      },
    });
  }

  /** Changes whenever kinds come, go, or look different. */
  get revision(): number {
    this.#refresh();
    return this.#revision;
  }

  /** The kind behind a URL, as far as this server knows now. */
  find(group: string, version: string, plural: string): KindDeclaration | undefined {
    const builtIn = findResource(group, version, plural);
    if (builtIn) return builtIn;
    this.#refresh();
    return this.#byResource.get(`${group}/${version}/${plural}`);
  }

  /** The kind behind a URL; what is not known is looked for in the latest state before it is denied. */
  async locate(group: string, version: string, plural: string): Promise<KindDeclaration | undefined> {
    const found = this.find(group, version, plural);
    if (found || BUILT_IN_GROUPS.has(group)) return found;
    await this.#options.cache.freshenSoon();
    return this.find(group, version, plural);
  }

  /** True for groups that the program itself has. */
  isBuiltInGroup(group: string): boolean {
    return BUILT_IN_GROUPS.has(group);
  }

  /** The kinds of the program that discovery and OpenAPI tell of. */
  readonly builtIn: readonly KindDeclaration[] = ALL_KINDS.filter(({ isUnlisted }) => !isUnlisted);

  /** All kinds that can be reached: those of the program, then those of definitions. */
  get all(): readonly KindDeclaration[] {
    this.#refresh();
    return [...ALL_KINDS, ...this.#byResource.values()];
  }

  /** The versions that stand in discovery and OpenAPI, by group and name. */
  get published(): readonly PublishedVersion[] {
    this.#refresh();
    const entries = [...this.#entries].filter(([, { definition }]) => definition.isEstablished);
    return entries.flatMap(([key, { definition, kinds }]) =>
      kinds.flatMap(kind => {
        const version = definition.versions.find(({ name }) => name === kind.version);
        const source = this.#sources.get(key);
        return version && source
          ? [{ definition, version, kind, source: () => source.parse<CustomResourceDefinition>() }]
          : [];
      }),
    );
  }

  #refresh(): void {
    const { cache } = this.#options;
    if (!this.#isStale || !cache.isFilled) return;
    this.#isStale = false;
    const before = new Set(this.#entries.keys());
    for (const object of cache.resource(DEFINITIONS).list(DEFINITIONS)) {
      before.delete(object.key);
      this.#take(object.key, object);
    }
    for (const key of before) this.#take(key, undefined);
  }

  #take(key: string, object: CachedObject | undefined): void {
    const before = this.#entries.get(key);
    if (object) this.#sources.set(key, object);
    else this.#sources.delete(key);
    const definition =
      object &&
      readDefinition(object.parse<CustomResourceDefinition>(), () => object.parse<CustomResourceDefinition>());
    if (definition && definition.fingerprint === before?.definition.fingerprint) return;
    if (definition && object) {
      const isOurs = BUILT_IN_RESOURCES.has(`${definition.group}/${definition.names.plural}`);
      const kinds = isOurs ? [] : declareCustom(definition, this.#options.context);
      this.#entries.set(key, { definition, kinds, revision: object.revision });
    } else this.#entries.delete(key);
    this.#index();
    // Who watches objects in a form that is no more starts again.
    if (before && before.definition.formKey !== definition?.formKey) this.#endWatches(before.definition);
  }

  #index(): void {
    const kinds = [...this.#entries.values()].flatMap(entry => entry.kinds);
    this.#byResource = new Map(kinds.map(kind => [`${kind.group}/${kind.version}/${kind.plural}`, kind]));
    this.#revision++;
  }

  #endWatches({ group, names }: CustomDefinition): void {
    const { watchers } = this.#options.cache.resource(resourcePrefix({ group, plural: names.plural }));
    for (const watcher of [...watchers]) watcher.lost();
  }
}
