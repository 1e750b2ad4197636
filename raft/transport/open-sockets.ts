/** The connections of a server, to be ended with it. */
import type { Server, Socket } from 'node:net';

/**
 * Follows them from the moment they are accepted. Those in the middle of their TLS handshake are known to no protocol above, but
 * `close()` of the server waits for them all the same.
 */
export class OpenSockets {
  readonly #sockets = new Set<Socket>();

  constructor(server: Server) {
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
