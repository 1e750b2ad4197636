/**
 * The node's door for images, for `raftsman image …` on the same machine: HTTP over a socket in the agent's directory, which
 * only root can reach. One interface for all runtimes: Docker's engine loads what it is given, the native runtime unpacks.
 *
 *   GET    /images          what is here
 *   POST   /images          the body is an archive; answers with what came
 *   DELETE /images?name=N   takes a name away
 */
import { chmod, rm } from 'node:fs/promises';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import path from 'node:path';
import { http } from '../api.ts';
import type { Logger } from '../logger.ts';
import { ImagePullError, type Runtime } from '../runtime/runtime.ts';

const imageSocketName = 'images.sock';

export class ImageServer {
  readonly #runtime: Runtime;
  readonly #logger: Logger;
  readonly #socket: string;
  readonly #server: Server;

  constructor(options: { readonly runtime: Runtime; readonly dataDir: string; readonly logger: Logger }) {
    this.#runtime = options.runtime;
    this.#logger = options.logger;
    this.#socket = path.join(options.dataDir, imageSocketName);
    this.#server = http.createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => this.#fail(response, error));
    });
    // An archive may take long to come.
    this.#server.requestTimeout = 0;
  }

  async listen(): Promise<void> {
    // One that was killed left its own; of two agents of one directory the other has lost already.
    await rm(this.#socket, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#socket, resolve);
    });
    await chmod(this.#socket, 0o600);
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.closeAllConnections();
    await new Promise<void>(resolve => this.#server.close(() => resolve()));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost');
    if (url.pathname !== '/images') return answer(response, 404, { message: 'not found' });
    const { importImages, removeImage } = this.#runtime;
    if (request.method === 'GET') return answer(response, 200, await this.#runtime.listImages());
    if (importImages === undefined || removeImage === undefined) {
      return answer(response, 501, { message: `the runtime ${this.#runtime.name} takes no images this way` });
    }
    if (request.method === 'POST') {
      const images = await importImages.call(this.#runtime, request);
      this.#logger.info({ images: images.flatMap(({ tags }) => tags) }, 'images imported');
      return answer(response, 200, images);
    }
    const name = url.searchParams.get('name');
    if (request.method !== 'DELETE' || name === null) return answer(response, 405, { message: 'not allowed' });
    if ((await this.#runtime.imageStatus(name)) === undefined) {
      return answer(response, 404, { message: `image ${JSON.stringify(name)} is not on this node` });
    }
    await removeImage.call(this.#runtime, name);
    answer(response, 200, {});
  }

  #fail(response: ServerResponse, error: unknown): void {
    if (!(error instanceof ImagePullError)) this.#logger.warn({ error }, 'a request for images failed');
    const message = error instanceof Error ? error.message : String(error);
    if (response.headersSent) response.destroy();
    else answer(response, 400, { message });
  }
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
