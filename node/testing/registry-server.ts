/** A registry in this process: the pulling half of the Distribution API, with keys, broken connections and counters. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { digest, type TestImage } from './image-archive.ts';

const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const indexType = 'application/vnd.oci.image.index.v1+json';

export interface RegistryServerOptions {
  readonly tls?: { readonly key: string; readonly cert: string };
  /** What is asked of clients. */
  readonly auth?: { readonly kind: 'basic' | 'bearer'; readonly username: string; readonly password: string };
}

export class RegistryServer {
  readonly #options: RegistryServerOptions;
  readonly #server: Server;
  readonly #documents = new Map<string, { readonly type: string; readonly body: Buffer }>();
  readonly #blobs = new Map<string, Buffer>();
  /** `METHOD path range`. */
  readonly requests: string[] = [];
  /** Requests for layers that break off in the middle, as often as this says. */
  breaks = 0;
  /** Waits until a client has so many bytes of a layer: what is under way when a connection breaks may be lost to it. */
  hasArrived: (bytes: number) => Promise<void> = async () => undefined;
  /** The next answers have these statuses. */
  readonly failures: number[] = [];

  constructor(options: RegistryServerOptions = {}) {
    this.#options = options;
    const serve = (request: IncomingMessage, response: ServerResponse) => this.#serve(request, response);
    this.#server = options.tls === undefined ? createServer(serve) : createTlsServer(options.tls, serve);
  }

  async listen(): Promise<void> {
    await new Promise<void>(resolve => this.#server.listen(0, '127.0.0.1', resolve));
  }
  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }
  get url(): string {
    return `${this.#options.tls === undefined ? 'http' : 'https'}://${this.host}`;
  }
  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise(resolve => this.#server.close(resolve));
  }

  /** Gives the manifest's digest. */
  add(repository: string, tag: string, image: TestImage): string {
    const layers = image.layers.map(layer => gzipSync(layer));
    const describe = (body: Buffer, mediaType: string) => ({ mediaType, digest: digest(body), size: body.length });
    for (const blob of [...layers, image.config]) this.#blobs.set(`${repository} ${digest(blob)}`, blob);
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: manifestType,
        config: describe(image.config, 'application/vnd.oci.image.config.v1+json'),
        layers: layers.map(layer => describe(layer, 'application/vnd.oci.image.layer.v1.tar+gzip')),
      }),
    );
    for (const name of [tag, digest(manifest)]) {
      this.#documents.set(`${repository} ${name}`, { type: manifestType, body: manifest });
    }
    return digest(manifest);
  }

  /** An index over manifests that were added, by platform. */
  addIndex(repository: string, tag: string, manifests: Readonly<Record<string, string>>): string {
    const entries = Object.entries(manifests).map(([architecture, one]) => ({
      mediaType: manifestType,
      digest: one,
      size: this.#documents.get(`${repository} ${one}`)?.body.length ?? 0,
      platform: { os: 'linux', architecture },
    }));
    const body = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests: entries }));
    for (const name of [tag, digest(body)]) this.#documents.set(`${repository} ${name}`, { type: indexType, body });
    return digest(body);
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', this.url);
    this.requests.push([request.method, url.pathname + url.search, request.headers.range].filter(Boolean).join(' '));
    const failure = this.failures.shift();
    if (failure !== undefined) response.writeHead(failure).end();
    else if (url.pathname === '/token') this.#token(request, response);
    else if (!this.#mayPass(request)) this.#challenge(response);
    else this.#content(request, response, url.pathname);
  }

  #content(request: IncomingMessage, response: ServerResponse, pathname: string): void {
    const [, repository, what, name] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(pathname) ?? [];
    const document = this.#documents.get(`${repository} ${name}`);
    const blob = this.#blobs.get(`${repository} ${name}`);
    if (what === 'blobs' && blob !== undefined) {
      this.#blob(request, response, blob);
    } else if (what === 'manifests' && document !== undefined) {
      response.writeHead(200, { 'content-type': document.type }).end(document.body);
    } else {
      const errors = [{ code: 'MANIFEST_UNKNOWN', message: 'manifest unknown' }];
      response.writeHead(404, { 'content-type': 'application/json' }).end(JSON.stringify({ errors }));
    }
  }

  #blob(request: IncomingMessage, response: ServerResponse, blob: Buffer): void {
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const rest = blob.subarray(from);
    response.writeHead(from > 0 ? 206 : 200, { 'content-length': rest.length });
    const isLayer = blob.subarray(0, 2).equals(Buffer.from([0x1f, 0x8b]));
    if (this.breaks === 0 || !isLayer) {
      response.end(rest);
      return;
    }
    this.breaks -= 1;
    const half = Math.ceil(rest.length / 2);
    response.write(rest.subarray(0, half));
    void this.hasArrived(from + half).then(() => request.socket.destroy());
  }

  #mayPass(request: IncomingMessage): boolean {
    const { auth } = this.#options;
    if (auth === undefined) return true;
    const wanted = auth.kind === 'basic' ? basic(auth) : 'Bearer let-me-in';
    return request.headers.authorization === wanted;
  }

  #challenge(response: ServerResponse): void {
    const isBasic = this.#options.auth?.kind === 'basic';
    const header = isBasic ? 'Basic realm="r"' : `Bearer realm="${this.url}/token",service="test"`;
    response.writeHead(401, { 'www-authenticate': header }).end();
  }

  #token(request: IncomingMessage, response: ServerResponse): void {
    const { auth } = this.#options;
    if (auth === undefined || request.headers.authorization !== basic(auth)) response.writeHead(401).end();
    else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ token: 'let-me-in' }));
  }
}

function basic({ username, password }: { readonly username: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
