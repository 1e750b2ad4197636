/**
 * Gathers what is said at once into one frame: a frame a message costs a third of the throughput. A batch that is applied
 * settles all its promises together, so its answers leave together, and a turn earlier than if they waited for the next.
 */
import type { WebSocket } from 'ws';
import type { TurnClock } from '../clock.ts';
import { CONNECTION_UNREAD_BYTES_MAX, FRAME_MESSAGES_MAX } from '../limits.ts';
import { type ClientMessage, packFrame, type ServerMessage } from './protocol.ts';

export class Outbox {
  readonly #socket: WebSocket;
  readonly #clock: TurnClock;
  #messages: (ClientMessage | ServerMessage)[] = [];
  #frames = 0;

  constructor(socket: WebSocket, clock: TurnClock) {
    this.#socket = socket;
    this.#clock = clock;
  }

  /** Changes when a frame has left: what was sent before is out of reach, what comes now goes into another. */
  get frame(): number {
    return this.#frames;
  }

  send(message: ClientMessage | ServerMessage): void {
    this.#messages.push(message);
    if (this.#messages.length === 1) this.#clock.afterPromises(() => this.#flush());
    else if (this.#messages.length >= FRAME_MESSAGES_MAX) this.#flush();
  }

  #flush(): void {
    const messages = this.#messages;
    if (messages.length === 0) return;
    this.#messages = [];
    this.#frames++;
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    if (this.#socket.bufferedAmount > CONNECTION_UNREAD_BYTES_MAX) {
      // The other side does not read any more.
      this.#socket.terminate();
      return;
    }
    this.#socket.send(packFrame(messages));
  }
}
