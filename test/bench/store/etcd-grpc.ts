/**
 * The least of a gRPC client that puts, reads and watches keys of an etcd: node's own HTTP/2 with messages written by hand,
 * so that what is measured is the server. Field numbers are those of etcd's `rpc.proto`.
 */
import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import type { Tls } from './system.ts';

/** Lets a thousand answers of 300 bytes flow at once. */
const WINDOW_BYTES = 16 * 1024 * 1024;
const PREFIX_BYTES = 5;

export class EtcdConnection {
  readonly #session: ClientHttp2Session;

  private constructor(session: ClientHttp2Session) {
    this.#session = session;
  }

  static async open(url: string, tls: Tls | undefined): Promise<EtcdConnection> {
    const session = connect(url, {
      ...tls,
      settings: { enablePush: false, initialWindowSize: WINDOW_BYTES },
    });
    await once(session, 'connect');
    session.setLocalWindowSize(WINDOW_BYTES);
    session.on('error', () => {});
    return new EtcdConnection(session);
  }

  async put(key: string, value: Uint8Array): Promise<void> {
    await this.#call('/etcdserverpb.KV/Put', [...bytesField(1, Buffer.from(key)), ...bytesField(2, value)]);
  }

  /** All in one transaction. */
  async putAll(keys: readonly string[], value: Uint8Array): Promise<void> {
    const operations = keys.flatMap(key => {
      const put = Buffer.concat([...bytesField(1, Buffer.from(key)), ...bytesField(2, value)]);
      return bytesField(2, Buffer.concat(bytesField(2, put)));
    });
    await this.#call('/etcdserverpb.KV/Txn', operations);
  }

  /** Answers how many keys were found. */
  async range(key: string, options: { readonly serializable: boolean }): Promise<number> {
    const fields = bytesField(1, Buffer.from(key));
    if (options.serializable) fields.push(Buffer.from([7 << 3, 1]));
    const answer = await this.#call('/etcdserverpb.KV/Range', fields);
    return Number(fieldsOf(answer).find(field => field.number === 4)?.value ?? 0);
  }

  async isLeader(): Promise<boolean> {
    const fields = fieldsOf(await this.#call('/etcdserverpb.Maintenance/Status', []));
    const header = fields.find(({ number }) => number === 1)?.value;
    const leader = fields.find(({ number }) => number === 4)?.value;
    if (!(header instanceof Uint8Array)) return false;
    return fieldsOf(header).find(({ number }) => number === 2)?.value === leader && leader !== undefined;
  }

  /** Opens `count` watches of one key on one stream; resolves when all are there. */
  async watch(key: string, count: number, onEvents: (count: number) => void): Promise<void> {
    const stream = this.#open('/etcdserverpb.Watch/Watch');
    const created = Promise.withResolvers<void>();
    let open = 0;
    readMessages(stream, message => {
      let events = 0;
      for (const field of fieldsOf(message)) {
        if (field.number === 3 && field.value === 1n && ++open === count) created.resolve();
        if (field.number === 11) events++;
      }
      if (events > 0) onEvents(events);
    });
    stream.on('error', created.reject);
    const request = framed(bytesField(1, Buffer.concat(bytesField(1, Buffer.from(key)))));
    for (let i = 0; i < count; i++) stream.write(request);
    await created.promise;
  }

  close(): void {
    this.#session.destroy();
  }

  #open(path: string): ClientHttp2Stream {
    return this.#session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
  }

  #call(path: string, fields: readonly Uint8Array[]): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const stream = this.#open(path);
      let message: Buffer | undefined;
      let status: unknown;
      readMessages(stream, one => {
        message = one;
      });
      const noteStatus = (headers: NodeJS.Dict<unknown>) => {
        status ??= headers['grpc-status'];
      };
      stream.on('response', noteStatus);
      stream.on('trailers', noteStatus);
      stream.on('error', reject);
      stream.on('close', () => {
        if (status === '0' && message !== undefined) resolve(message);
        else reject(new Error(`gRPC status ${String(status)}`));
      });
      stream.end(framed(fields));
    });
  }
}

function framed(fields: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(fields);
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + body.length);
  frame.writeUInt8(0, 0);
  frame.writeUInt32BE(body.length, 1);
  body.copy(frame, PREFIX_BYTES);
  return frame;
}

function readMessages(stream: ClientHttp2Stream, onMessage: (message: Buffer) => void): void {
  let rest: Buffer = Buffer.alloc(0);
  stream.on('data', (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (rest.length - at >= PREFIX_BYTES) {
      const end = at + PREFIX_BYTES + rest.readUInt32BE(at + 1);
      if (rest.length < end) break;
      onMessage(rest.subarray(at + PREFIX_BYTES, end));
      at = end;
    }
    rest = rest.subarray(at);
  });
}

function bytesField(number: number, value: Uint8Array): Uint8Array[] {
  const head = [(number << 3) | 2];
  for (let rest = value.length; ; rest >>>= 7) {
    if (rest < 0x80) {
      head.push(rest);
      break;
    }
    head.push((rest & 0x7f) | 0x80);
  }
  return [Uint8Array.from(head), value];
}

interface Field {
  readonly number: number;
  readonly value: bigint | Uint8Array;
}

/** The varints and byte strings of a message, which is all that is needed here. */
function fieldsOf(message: Uint8Array): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++] ?? 0;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = Number(varint());
    if ((tag & 7) === 0) fields.push({ number: tag >>> 3, value: varint() });
    else if ((tag & 7) === 2) {
      const length = Number(varint());
      fields.push({ number: tag >>> 3, value: message.subarray(at, at + length) });
      at += length;
    } else throw new Error(`a field of wire type ${tag & 7} was not expected`);
  }
  return fields;
}
