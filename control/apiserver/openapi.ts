/**
 * `/openapi/v2` and `/openapi/v3`. Documents are made when first asked for and kept as bytes. The hashes in the v3 index
 * are of the server's version and its kinds, from which the documents follow, so that the index costs nothing.
 */
import { createHash } from 'node:crypto';
import { encodeOpenApiV2, OPENAPI_V2_PROTOBUF_MEDIA_TYPE } from '../api/openapi/gnostic.ts';
import { groupVersionPath, type OpenApiSource } from '../api/openapi/source.ts';
import { openApiV2 } from '../api/openapi/v2.ts';
import { openApiV3, openApiV3Index } from '../api/openapi/v3.ts';
import { ALL_KINDS } from '../api/registry.ts';
import { definition, isDefined } from '../api/schema/definitions.ts';
import { parseAccept } from './http/negotiate.ts';
import { bytesReply, JSON_TYPE, jsonReply } from './http/replies.ts';
import type { Exchange, Headers, Reply } from './types.ts';

const V3 = '/openapi/v3';

export class OpenApiDocuments {
  readonly #source: OpenApiSource;
  readonly #hash: string;
  readonly #groupVersions: ReadonlySet<string>;
  readonly #made = new Map<string, Uint8Array>();

  /** `version` is the server's, such as `v1.33.1`. */
  constructor(version: string) {
    this.#source = {
      title: 'Kubernetes',
      version,
      kinds: ALL_KINDS,
      definition,
      hasDefinition: isDefined,
    };
    const kinds = ALL_KINDS.map(({ definition: name, verbs, subresources }) => [name, verbs, subresources]);
    this.#hash = createHash('sha512')
      .update(JSON.stringify([version, kinds]))
      .digest('hex')
      .toUpperCase();
    this.#groupVersions = new Set(ALL_KINDS.map(groupVersionPath));
  }

  /** Answers a GET below `/openapi/`; undefined for a path that is none of ours. */
  answer(exchange: Exchange): Reply | undefined {
    const path = exchange.info.path.replace(/\/$/, '');
    if (path === '/openapi/v2') return this.#v2(exchange);
    if (path === V3) {
      return jsonReply(200, openApiV3Index(new Map([...this.#groupVersions].map(name => [name, this.#hash]))));
    }
    const groupVersion = path.startsWith(`${V3}/`) ? path.slice(V3.length + 1) : '';
    return this.#groupVersions.has(groupVersion) ? this.#v3(exchange, groupVersion) : undefined;
  }

  /** Old clients take nothing but protobuf, whatever they say they accept. */
  #v2(exchange: Exchange): Reply {
    const isProtobuf = parseAccept(exchange.headers.accept).some(({ type }) => type.includes('proto-openapi'));
    const name = isProtobuf ? 'v2 protobuf' : 'v2 json';
    const bytes = this.#make(name, () => {
      const document = openApiV2(this.#source);
      return isProtobuf ? encodeOpenApiV2(document) : Buffer.from(JSON.stringify(document));
    });
    const contentType = isProtobuf ? OPENAPI_V2_PROTOBUF_MEDIA_TYPE : JSON_TYPE;
    return this.#reply(exchange, bytes, { 'content-type': contentType, vary: 'Accept' });
  }

  /** A right hash makes the document immutable, a wrong one leads to the right one. */
  #v3(exchange: Exchange, groupVersion: string): Reply {
    const asked = exchange.query.get('hash');
    if (asked !== null && asked !== this.#hash) {
      return bytesReply(301, new Uint8Array(), { location: `${V3}/${groupVersion}?hash=${this.#hash}` });
    }
    const bytes = this.#make(groupVersion, () => {
      const kinds = ALL_KINDS.filter(kind => groupVersionPath(kind) === groupVersion);
      return Buffer.from(JSON.stringify(openApiV3({ ...this.#source, kinds }).get(groupVersion)));
    });
    return this.#reply(exchange, bytes, {
      'content-type': JSON_TYPE,
      vary: 'Accept',
      ...(asked !== null && { 'cache-control': 'public, immutable' }),
    });
  }

  #reply(exchange: Exchange, bytes: Uint8Array, headers: Headers): Reply {
    const etag = `"${this.#hash}"`;
    if (exchange.headers['if-none-match'] === etag) return bytesReply(304, new Uint8Array(), { ...headers, etag });
    return bytesReply(200, bytes, { ...headers, etag });
  }

  #make(name: string, make: () => Uint8Array): Uint8Array {
    let bytes = this.#made.get(name);
    if (!bytes) {
      bytes = make();
      this.#made.set(name, bytes);
    }
    return bytes;
  }
}
