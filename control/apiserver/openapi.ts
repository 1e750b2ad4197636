/**
 * `/openapi/v2` and `/openapi/v3`. Documents are made when first asked for and kept as bytes. The hashes in the v3 index
 * are of the server's version and its kinds, from which the documents follow, so that the index costs nothing. Documents
 * with custom resources are made anew when one of their definitions has changed. What is said of the fields is loaded
 * with the first document: a server that is asked for none does without.
 */
import { createHash } from 'node:crypto';
import { type OpenApiVersion, publishedList, publishedSchema } from '../api/custom/openapi.ts';
import type { JsonSchema } from '../api/custom/schema.ts';
import type { CustomResourceDefinition } from '../api/generated/types.ts';
import { type PlainPath, plainPaths } from '../api/openapi/discovery-paths.ts';
import { OPENAPI_V2_PROTOBUF_MEDIA_TYPE } from '../api/openapi/gnostic.ts';
import { groupVersionPath, type OpenApiSource, type SchemaFacts, type ServedKind } from '../api/openapi/source.ts';
import { openApiV3Index, partsOfV3, partsOfV3Plain } from '../api/openapi/v3.ts';
import { definition, isDefined } from '../api/schema/definitions.ts';
import { nextTurn } from './clock.ts';
import type { Catalogue, PublishedVersion } from './custom/catalogue.ts';
import type { VirtualResource } from './discovery.ts';
import { parseAccept } from './http/negotiate.ts';
import { bytesReply, JSON_TYPE, jsonReply } from './http/replies.ts';
import { OpenApiV2Bytes } from './openapi-v2.ts';
import { OpenApiV3Bytes } from './openapi-v3.ts';
import type { Clock, Exchange, Headers, Reply } from './types.ts';

const V3 = '/openapi/v3';

/** What the documents are made of while no kind comes or goes. */
interface Told {
  readonly revision: number;
  /** By group version: a hash that changes with the document. */
  readonly hashes: ReadonlyMap<string, string>;
  readonly custom: readonly PublishedVersion[];
  /** What has a document and is no resource. */
  readonly plain: ReadonlyMap<string, PlainPath>;
}

export interface OpenApiOptions {
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  /** The server's, such as `v1.33.1`. */
  readonly version: string;
  /** What is sent and answered, never stored. */
  readonly reviews?: readonly VirtualResource[];
}

type Describe = NonNullable<OpenApiSource['describe']>;

/** What goes into one document. */
interface SourceOptions {
  readonly kinds?: readonly ServedKind[];
  readonly custom?: readonly PublishedVersion[];
  readonly target: OpenApiVersion;
  readonly describe: Describe;
}

export class OpenApiDocuments {
  readonly #catalogue: Catalogue;
  readonly #clock: Clock;
  readonly #version: string;
  readonly #ownHash: string;
  readonly #builtIn: readonly ServedKind[];
  readonly #v2Bytes: OpenApiV2Bytes;
  readonly #v3Bytes: OpenApiV3Bytes;
  #told: Told | undefined;
  #describe: Describe | undefined;

  constructor({ catalogue, clock, version, reviews = [] }: OpenApiOptions) {
    this.#v2Bytes = new OpenApiV2Bytes(clock);
    this.#v3Bytes = new OpenApiV3Bytes(clock);
    this.#catalogue = catalogue;
    this.#clock = clock;
    this.#version = version;
    this.#builtIn = [...catalogue.builtIn, ...reviews.map(servedReview)];
    const kinds = this.#builtIn.map(({ definition: name, verbs, subresources }) => [name, verbs, subresources]);
    this.#ownHash = hashOf([version, kinds]);
  }

  get #now(): Told {
    const { revision } = this.#catalogue;
    if (this.#told?.revision !== revision) this.#told = this.#tell(revision);
    return this.#told;
  }

  #tell(revision: number): Told {
    const { published: custom } = this.#catalogue;
    const hashes = new Map(this.#builtIn.map(kind => [groupVersionPath(kind), this.#ownHash]));
    const keys = new Map<string, string[]>();
    for (const { kind, definition } of custom) {
      const path = groupVersionPath(kind);
      keys.set(path, [...(keys.get(path) ?? []), definition.fingerprint]);
    }
    for (const [path, fingerprints] of keys) hashes.set(path, hashOf([hashes.get(path), fingerprints]));
    const plain = plainPaths([...this.#builtIn, ...custom.map(({ kind }) => kind)].map(({ group }) => group));
    for (const path of plain.keys()) hashes.set(path, this.#ownHash);
    return { revision, hashes, custom, plain };
  }

  /** Answers a GET below `/openapi/`; undefined for a path that is none of ours. */
  answer(exchange: Exchange): Reply | undefined | Promise<Reply | undefined> {
    const path = exchange.info.path.replace(/\/$/, '');
    if (path === '/openapi/v2') return this.#v2(exchange);
    if (path === V3) {
      // Kubernetes says text; clients look at neither.
      return jsonReply(200, openApiV3Index(this.#now.hashes), { 'content-type': 'text/plain; charset=utf-8' });
    }
    return path.startsWith(`${V3}/`) ? this.#v3(exchange, path.slice(V3.length + 1)) : undefined;
  }

  /** Loads what is said of the fields. Others have a turn between that and the work on a document. */
  async #descriptions(): Promise<Describe> {
    if (!this.#describe) {
      const { withDescriptions } = await import('../api/openapi/descriptions/index.ts');
      await nextTurn(this.#clock);
      this.#describe = withDescriptions;
    }
    return this.#describe;
  }

  /** Old clients take nothing but protobuf, whatever they say they accept. */
  async #v2(exchange: Exchange): Promise<Reply> {
    const isProtobuf = parseAccept(exchange.headers.accept).some(({ type }) => type.includes('proto-openapi'));
    const describe = await this.#descriptions();
    const { hashes, custom } = this.#now;
    const hash = hashOf([...hashes]);
    const bytes = await this.#v2Bytes.get({
      form: isProtobuf ? 'protobuf' : 'json',
      hash,
      builtIn: this.#source({ kinds: this.#builtIn, target: 'v2', describe }),
      custom: this.#source({ custom, target: 'v2', describe }),
    });
    const contentType = isProtobuf ? OPENAPI_V2_PROTOBUF_MEDIA_TYPE : JSON_TYPE;
    return reply(exchange, { bytes, hash, headers: { 'content-type': contentType, vary: 'Accept' } });
  }

  /** A right hash makes the document immutable, a wrong one leads to the right one. */
  async #v3(exchange: Exchange, groupVersion: string): Promise<Reply | undefined> {
    if (!this.#now.hashes.has(groupVersion)) return undefined;
    const describe = await this.#descriptions();
    const asked = exchange.query.get('hash');
    const { hashes, custom, plain } = this.#now;
    const hash = hashes.get(groupVersion);
    if (hash === undefined) return undefined;
    if (asked !== null && asked !== hash) {
      return bytesReply(301, new Uint8Array(), { location: `${V3}/${groupVersion}?hash=${hash}` });
    }
    const path = plain.get(groupVersion);
    const own = custom.filter(({ kind }) => groupVersionPath(kind) === groupVersion);
    const source = this.#source({ kinds: this.#builtIn, custom: own, target: 'v3', describe });
    const parts = () => (path ? partsOfV3Plain(source, path) : partsOfV3(source, groupVersion));
    const bytes = await this.#v3Bytes.get({ name: groupVersion, hash, source, parts });
    this.#v3Bytes.keepOnly(this.#now.hashes);
    const headers = {
      'content-type': JSON_TYPE,
      vary: 'Accept',
      ...(asked !== null && { 'cache-control': 'public, immutable' }),
    };
    return reply(exchange, { bytes, hash, headers });
  }

  #source({ kinds = [], custom = [], target, describe }: SourceOptions): OpenApiSource {
    const schemas = customSchemas(custom, target);
    const found = (name: string) => schemas.get(name)?.();
    return {
      title: 'Kubernetes',
      version: this.#version,
      kinds: [...kinds, ...custom.map(({ kind }) => kind)],
      definition: name => found(name) ?? definition(name),
      hasDefinition: name => schemas.has(name) || isDefined(name),
      isAsWritten: name => schemas.has(name),
      // Custom resources bring their own.
      describe: (name, schema) => (schemas.has(name) ? schema : describe(name, schema)),
    };
  }
}

/** A review as the documents show it: one POST. */
function servedReview({ group, version, kind, plural, namespaced }: VirtualResource): ServedKind {
  const definition = `io.k8s.api.${group.replace(/\.k8s\.io$/, '') || 'core'}.${version}.${kind}`;
  return { group, version, kind, plural, namespaced, verbs: ['create'], subresources: [], definition };
}

/** Schemas by name, each made once and only when the document needs it. */
function customSchemas(custom: readonly PublishedVersion[], target: OpenApiVersion): Map<string, () => SchemaFacts> {
  const schemas = new Map<string, () => SchemaFacts>();
  for (const { definition: owner, version, kind, source } of custom) {
    const { group, kind: name, plural, definition: schemaName } = kind;
    const { listKind } = owner.names;
    const { selectableFields } = version;
    const published = {
      group,
      version: version.name,
      kind: name,
      plural,
      listKind,
      definition: schemaName,
      selectableFields,
    };
    let made: SchemaFacts | undefined;
    schemas.set(schemaName, () => {
      made ??= publishedSchema(published, wholeSchema(source(), version.name), target);
      return made;
    });
    schemas.set(`${schemaName}List`, () => publishedList(published));
  }
  return schemas;
}

function wholeSchema({ spec }: CustomResourceDefinition, version: string): JsonSchema {
  const found = spec.versions.find(({ name }) => name === version)?.schema?.openAPIV3Schema;
  return (found ?? { 'x-kubernetes-preserve-unknown-fields': true }) as JsonSchema; // checked when it was written
}

const hashOf = (value: unknown): string =>
  createHash('sha512').update(JSON.stringify(value)).digest('hex').toUpperCase();

function reply(
  exchange: Exchange,
  { bytes, hash, headers }: { readonly bytes: Uint8Array; readonly hash: string; readonly headers: Headers },
): Reply {
  const etag = `"${hash}"`;
  if (exchange.headers['if-none-match'] === etag) return bytesReply(304, new Uint8Array(), { ...headers, etag });
  return bytesReply(200, bytes, { ...headers, etag });
}
