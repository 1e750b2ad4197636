/** One connection, on a socket that the test plays. */
import { EventEmitter } from 'node:events';
import test from 'ava';
import type { WebSocket } from 'ws';
import type { Message } from '../core/messages.ts';
import type { Clock } from '../driver/clock.ts';
import { encodeItems } from './frames.ts';
import { TRANSPORT_LIMITS } from './limits.ts';
import { Link } from './link.ts';

/** As far as a link looks at one. */
class PlayedSocket extends EventEmitter {
  readonly OPEN = 1;
  readyState = 1;

  terminate(): void {
    this.readyState = 3;
  }
}

const stillClock: Clock = { now: () => 0, setTimeout: () => () => {}, nextTurn() {} };

test('what a socket still hands out after the connection was closed is not heard (simulation seed 1903)', t => {
  const socket = new PlayedSocket();
  const heard: string[] = [];
  const closed: string[] = [];
  const link = new Link('1'.repeat(16), socket as unknown as WebSocket, {
    clock: stillClock,
    limits: TRANSPORT_LIMITS,
    onItem: (_, item) => heard.push(item.type),
    onClosed: (_, reason) => closed.push(reason),
  });
  const message: Message = { type: 'timeoutNow', from: '1'.repeat(16), to: '2'.repeat(16), term: 3 };
  const frame = Buffer.from(encodeItems([{ type: 'message', message }]));
  socket.emit('message', frame);
  t.deepEqual(heard, ['message']);
  link.close();
  socket.emit('message', frame);
  t.deepEqual(heard, ['message']);
  t.deepEqual(closed, ['closed here']);
});
