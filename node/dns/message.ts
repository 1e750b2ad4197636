/**
 * DNS messages as bytes (RFC 1035 4, RFC 6891): what a server has to see and change without understanding every record.
 * Records are written by `dns-packet`; questions are copied as they came, so that a client finds its own spelling again
 * (the "0x20" of draft-vixie-dnsext-dns0x20). Pure.
 */
import { type Answer, encode } from 'dns-packet';
import { DATAGRAM_BYTES_DEFAULT, DATAGRAM_BYTES_MAX } from './limits.ts';

/** Response codes (RFC 1035, RFC 6891). */
export const RCODE = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  BADVERS: 16,
} as const;

/** Types by their numbers, as `dns-packet` calls them; those that nothing is known of keep their numbers. */
const TYPE_NAMES: ReadonlyMap<number, string> = new Map([
  [1, 'A'],
  [2, 'NS'],
  [5, 'CNAME'],
  [6, 'SOA'],
  [12, 'PTR'],
  [15, 'MX'],
  [16, 'TXT'],
  [28, 'AAAA'],
  [33, 'SRV'],
  [35, 'NAPTR'],
  [41, 'OPT'],
  [44, 'SSHFP'],
  [52, 'TLSA'],
  [257, 'CAA'],
  [251, 'IXFR'],
  [252, 'AXFR'],
  [255, 'ANY'],
]);
const TYPE_SOA = 6;
const TYPE_OPT = 41;
const CLASS_IN = 1;

const HEADER_BYTES = 12;
const OPT_BYTES = 11;
const FLAG = { response: 0x8000, authoritative: 0x0400, truncated: 0x0200, recursion: 0x0100, available: 0x0080 };
const AUTHENTIC = 0x0020;
const CHECKING_DISABLED = 0x0010;
const RCODE_BITS = 0xf;
const DNSSEC_OK = 0x8000;

export interface Query {
  readonly id: number;
  readonly opcode: number;
  readonly wantsRecursion: boolean;
  readonly checkingDisabled: boolean;
  /** As asked, without a dot at its end; a dot inside a label is `\.`, so that it is no other name. */
  readonly asked: string;
  readonly type: string;
  readonly isInternet: boolean;
  /** The question's own bytes. */
  readonly question: Buffer;
  readonly edns: { readonly sizeBytes: number; readonly version: number; readonly dnssecOk: boolean } | undefined;
}

/** What arrived is no query that can be answered in full: with `id` it is answered so, without it not at all. */
export interface Unreadable {
  readonly id: number | undefined;
}

export function parseQuery(message: Buffer): Query | Unreadable {
  if (message.length < HEADER_BYTES) return { id: undefined };
  const id = message.readUInt16BE(0);
  const flags = message.readUInt16BE(2);
  // Two servers that answer each other's answers would never end.
  if (flags & FLAG.response) return { id: undefined };
  try {
    if (message.readUInt16BE(4) !== 1) return { id };
    const { name, end } = readName(message, HEADER_BYTES);
    const type = message.readUInt16BE(end);
    const isInternet = message.readUInt16BE(end + 2) === CLASS_IN;
    const opt = recordsOf(message, end + 4).find(record => record.type === TYPE_OPT);
    return {
      id,
      opcode: (flags >> 11) & 0xf,
      wantsRecursion: (flags & FLAG.recursion) !== 0,
      checkingDisabled: (flags & CHECKING_DISABLED) !== 0,
      asked: name,
      type: TYPE_NAMES.get(type) ?? `UNKNOWN_${type}`,
      isInternet,
      question: message.subarray(HEADER_BYTES, end + 4),
      edns: opt && {
        sizeBytes: opt.class,
        version: (opt.ttl >> 16) & 0xff,
        dnssecOk: (opt.ttl & DNSSEC_OK) !== 0,
      },
    };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { id };
  }
}

export interface Content {
  readonly rcode: number;
  readonly authoritative?: boolean;
  readonly answers?: readonly Answer[];
  readonly authorities?: readonly Answer[];
  readonly additionals?: readonly Answer[];
}

/** A response to the query, as long as it comes out and without EDNS: {@link finish} makes it ready to be sent. */
export function encodeResponse(query: Query, content: Content): Buffer {
  const { answers = [], authorities = [], additionals = [] } = content;
  const header = Buffer.alloc(HEADER_BYTES);
  const authoritative = content.authoritative ? FLAG.authoritative : 0;
  header.writeUInt16BE(FLAG.response | FLAG.available | authoritative | (content.rcode & 0xf), 2);
  header.writeUInt16BE(1, 4);
  for (const [index, section] of [answers, authorities, additionals].entries())
    header.writeUInt16BE(section.length, 6 + 2 * index);
  const nameBytes = query.question.length - 4;
  const records = [...answers, ...authorities, ...additionals].map(record =>
    encodeRecord(record, record.name === query.asked ? nameBytes : 0),
  );
  return Buffer.concat([header, query.question, ...records]);
}

/** The name of the question, where it opens a record, is a pointer to it: that is most of what compression can save. */
function encodeRecord(record: Answer, nameBytes: number): Buffer {
  const bytes = encode({ type: 'response', answers: [record] }).subarray(HEADER_BYTES);
  return nameBytes === 0 ? bytes : Buffer.concat([Buffer.from([0xc0, HEADER_BYTES]), bytes.subarray(nameBytes)]);
}

/**
 * Makes a response that of this query: its id, its spelling of the question, its flags, EDNS if it has that, and cut to
 * what the client can take, with the truncation flag if what was cut was asked for. `response` is not changed.
 */
export function finish(response: Buffer, query: Query, options: { readonly stream: boolean; readonly rcode?: number }) {
  const { edns } = query;
  const limit = options.stream ? 65_535 : datagramBytesOf(query);
  const { message, truncated } = cut(response, limit - (edns ? OPT_BYTES : 0));
  message.writeUInt16BE(query.id, 0);
  // Of another server's flags count its code, its authority and, for who understands it, that it has checked signatures.
  const kept = message.readUInt16BE(2) & (FLAG.authoritative | (edns?.dnssecOk ? AUTHENTIC : 0) | RCODE_BITS);
  const flags =
    FLAG.response |
    FLAG.available |
    kept |
    (query.opcode << 11) |
    (query.wantsRecursion ? FLAG.recursion : 0) |
    (query.checkingDisabled ? CHECKING_DISABLED : 0) |
    (truncated ? FLAG.truncated : 0);
  message.writeUInt16BE(flags, 2);
  query.question.copy(message, HEADER_BYTES);
  if (!edns) return message;
  const opt = Buffer.alloc(OPT_BYTES);
  opt.writeUInt16BE(TYPE_OPT, 1);
  opt.writeUInt16BE(DATAGRAM_BYTES_MAX, 3);
  opt.writeUInt8((options.rcode ?? 0) >> 4, 5);
  opt.writeUInt16BE(edns.dnssecOk ? DNSSEC_OK : 0, 7);
  message.writeUInt16BE(message.readUInt16BE(10) + 1, 10);
  return Buffer.concat([message, opt]);
}

/** What can be said of a message that cannot be read. */
export function formatError(id: number): Buffer {
  const message = Buffer.alloc(HEADER_BYTES);
  message.writeUInt16BE(id, 0);
  message.writeUInt16BE(FLAG.response | RCODE.FORMERR, 2);
  return message;
}

/** The same question for another server: under an id of ours, with EDNS, so that answers need not be cut. */
export function encodeForward(query: Query, id: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(FLAG.recursion | (query.checkingDisabled ? CHECKING_DISABLED : 0), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(1, 10);
  const opt = Buffer.alloc(OPT_BYTES);
  opt.writeUInt16BE(TYPE_OPT, 1);
  opt.writeUInt16BE(DATAGRAM_BYTES_MAX, 3);
  opt.writeUInt16BE(query.edns?.dnssecOk ? DNSSEC_OK : 0, 7);
  return Buffer.concat([header, query.question, opt]);
}

/** The query for another name and the same type, as for the target of an alias. */
export function questionFor(query: Query, name: string): Query {
  const labels = name.split('.').map(label => Buffer.from(label, 'latin1'));
  const encoded = labels.flatMap(label => [Buffer.from([label.length]), label]);
  const question = Buffer.concat([...encoded, Buffer.from([0]), query.question.subarray(-4)]);
  return { ...query, asked: name, question };
}

/** True if a message answers what was sent: its id and its question. */
export function answers(message: Buffer, sent: Buffer): boolean {
  if (message.length < HEADER_BYTES || message.readUInt16BE(0) !== sent.readUInt16BE(0)) return false;
  if (!(message.readUInt16BE(2) & FLAG.response) || message.readUInt16BE(4) !== 1) return false;
  // Some resolvers answer in small letters whatever they are asked in.
  const question = (bytes: Buffer) => bytes.toString('latin1', HEADER_BYTES, sent.length - OPT_BYTES).toLowerCase();
  return question(message) === question(sent);
}

export function isTruncated(message: Buffer): boolean {
  return (message.readUInt16BE(2) & FLAG.truncated) !== 0;
}
export function rcodeOf(message: Buffer): number {
  return message.readUInt16BE(2) & 0xf;
}

/**
 * A response of another server without its EDNS record, which spoke of that one connection only. What stands behind that
 * record goes too: names may point backwards only, so nothing left points there. Throws RangeError on broken messages.
 */
export function withoutEdns(message: Buffer): Buffer {
  const { records, counts } = layoutOf(message);
  const index = records.findIndex(record => record.type === TYPE_OPT);
  if (index >= 0 && index < counts[0] + counts[1]) throw new RangeError('an OPT record outside of its section');
  const found = records[index];
  const last = records.at(-1);
  const copy = Buffer.from(message.subarray(0, found ? found.start : last ? last.end : endOfQuestion(message)));
  if (found) copy.writeUInt16BE(index - counts[0] - counts[1], 10);
  return copy;
}

/**
 * For how long a response holds: the shortest of its records, or what its SOA says of nothing (RFC 2308 5). 0: not at all.
 * Throws RangeError on broken messages.
 */
export function secondsToKeep(message: Buffer): { readonly seconds: number; readonly negative: boolean } {
  const { records, counts } = layoutOf(message);
  const rcode = rcodeOf(message);
  if (rcode === RCODE.NOERROR && counts[0] > 0)
    return { seconds: Math.min(...records.map(record => record.ttl)), negative: false };
  const soa = records.slice(counts[0], counts[0] + counts[1]).find(({ type }) => type === TYPE_SOA);
  if (!soa || (rcode !== RCODE.NOERROR && rcode !== RCODE.NXDOMAIN)) return { seconds: 0, negative: true };
  return { seconds: Math.min(soa.ttl, message.readUInt32BE(soa.end - 4)), negative: true };
}

/** A copy in which every record is `seconds` older. */
export function aged(message: Buffer, seconds: number): Buffer {
  const copy = Buffer.from(message);
  for (const { ttl, ttlOffset } of layoutOf(copy).records) copy.writeUInt32BE(Math.max(0, ttl - seconds), ttlOffset);
  return copy;
}

function datagramBytesOf({ edns }: Query): number {
  return Math.min(DATAGRAM_BYTES_MAX, Math.max(DATAGRAM_BYTES_DEFAULT, edns?.sizeBytes ?? 0));
}

/** A copy of at most `limit` bytes that ends with a whole record. */
function cut(message: Buffer, limit: number): { message: Buffer; truncated: boolean } {
  if (message.length <= limit) return { message: Buffer.from(message), truncated: isTruncated(message) };
  const { records, counts } = layoutOf(message);
  const kept = records.filter(({ end }) => end <= limit);
  const copy = Buffer.from(message.subarray(0, kept.at(-1)?.end ?? endOfQuestion(message)));
  let left = kept.length;
  for (const [index, count] of counts.entries()) {
    const here = Math.min(count, left);
    copy.writeUInt16BE(here, 6 + 2 * index);
    left -= here;
  }
  return { message: copy, truncated: isTruncated(message) || kept.length < counts[0] + counts[1] };
}

interface RecordPlace {
  readonly start: number;
  readonly end: number;
  readonly type: number;
  readonly class: number;
  readonly ttl: number;
  readonly ttlOffset: number;
}

function layoutOf(message: Buffer) {
  const counts = [message.readUInt16BE(6), message.readUInt16BE(8), message.readUInt16BE(10)] as const;
  return { counts, records: recordsOf(message, endOfQuestion(message)) };
}

function endOfQuestion(message: Buffer): number {
  return message.readUInt16BE(4) === 0 ? HEADER_BYTES : endOfName(message, HEADER_BYTES) + 4;
}

/** Throws RangeError where the message ends too early. */
function recordsOf(message: Buffer, from: number): RecordPlace[] {
  const count = message.readUInt16BE(6) + message.readUInt16BE(8) + message.readUInt16BE(10);
  const records: RecordPlace[] = [];
  let start = from;
  while (records.length < count) {
    const typeOffset = endOfName(message, start);
    const ttlOffset = typeOffset + 4;
    const end = ttlOffset + 6 + message.readUInt16BE(ttlOffset + 4);
    if (end > message.length) throw new RangeError('a record is cut short');
    records.push({
      start,
      end,
      type: message.readUInt16BE(typeOffset),
      class: message.readUInt16BE(typeOffset + 2),
      ttl: message.readUInt32BE(ttlOffset),
      ttlOffset,
    });
    start = end;
  }
  return records;
}

const POINTER = 0xc0;

/** Where a name ends at its place: with a zero or with a pointer. */
function endOfName(message: Buffer, from: number): number {
  let offset = from;
  for (;;) {
    const length = message.readUInt8(offset);
    if ((length & POINTER) === POINTER) return offset + 2;
    if (length & POINTER) throw new RangeError('a label of a kind that is not used');
    offset += 1 + length;
    if (length === 0) return offset;
  }
}

/** A name without pointers, as a question has it. */
function readName(message: Buffer, from: number): { name: string; end: number } {
  const labels: string[] = [];
  let offset = from;
  for (;;) {
    const length = message.readUInt8(offset);
    if (length & POINTER) throw new RangeError('a question has no pointers');
    if (length === 0) break;
    const label = message.subarray(offset + 1, offset + 1 + length).toString('latin1');
    if (label.length < length) throw new RangeError('a name is cut short');
    labels.push(label.replaceAll(/[.\\]/g, '\\$&'));
    offset += 1 + length;
  }
  if (offset - from >= 255) throw new RangeError('a name is too long');
  return { name: labels.join('.'), end: offset + 1 };
}
