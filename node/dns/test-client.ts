/** For tests: asks a server on this machine, over UDP or TCP, with `dns-packet` on both ends. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import {
  type DecodedPacket,
  decode,
  encode,
  type OptAnswer,
  type Packet,
  RECURSION_DESIRED,
  type RecordType,
} from 'dns-packet';

export interface Asked {
  /** 127.0.0.1 if it is left out. */
  readonly address?: string;
  readonly port: number;
  readonly transport?: 'udp' | 'tcp';
  readonly id?: number;
  readonly flags?: number;
  readonly ednsBytes?: number;
}

const WAIT_MS = 3_000;

export function queryOf(
  name: string,
  type: RecordType,
  { id = 7, flags = RECURSION_DESIRED, ednsBytes }: Asked,
): Buffer {
  const opt: OptAnswer = {
    type: 'OPT',
    name: '.',
    udpPayloadSize: ednsBytes ?? 0,
    extendedRcode: 0,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options: [],
  };
  const packet: Packet = { type: 'query', id, flags, questions: [{ name, type }] };
  return encode(ednsBytes === undefined ? packet : { ...packet, additionals: [opt] });
}

export async function ask(name: string, type: RecordType, asked: Asked): Promise<DecodedPacket> {
  return decode(await exchangeBytes(queryOf(name, type, asked), asked));
}

/** Rejects when no answer comes. */
export async function exchangeBytes(
  message: Buffer,
  { address = '127.0.0.1', port, transport = 'udp' }: Asked,
): Promise<Buffer> {
  const signal = AbortSignal.timeout(WAIT_MS);
  if (transport === 'udp') {
    const socket = createSocket('udp4');
    try {
      socket.send(message, port, address);
      const [answer] = await once(socket, 'message', { signal });
      return answer as Buffer;
    } finally {
      socket.close();
    }
  }
  const socket = connect(port, address);
  try {
    socket.write(framed(message));
    let received = Buffer.alloc(0);
    while (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) {
      const [chunk] = await once(socket, 'data', { signal });
      received = Buffer.concat([received, chunk as Buffer]);
    }
    return received.subarray(2);
  } finally {
    socket.destroy();
  }
}

export function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

/** The data of the answers, sorted. */
export function dataOf({ answers = [] }: Pick<DecodedPacket, 'answers'>): string[] {
  return answers.map(record => ('data' in record ? String(record.data) : '')).sort();
}
