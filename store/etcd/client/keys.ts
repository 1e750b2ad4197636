/**
 * Where a client's keys lie in etcd. Several users may share one etcd, so everything of ours begins with a prefix; below it
 * what the store holds (`PREFIX/data`) is apart from what the client itself keeps (`PREFIX/own`), so that a range over all
 * keys never meets the latter.
 */
import { OPEN_END, prefixEnd } from '../../mvcc/keys.ts';

/** etcd's form of a range; an empty `rangeEnd` means the one key. */
export interface EtcdRange {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
}

const NONE = Buffer.alloc(0);

/** Says what is wrong with a prefix, or undefined. */
export function prefixProblem(prefix: string): string | undefined {
  if (!/^(\/[^/\0]+)+$/.test(prefix)) {
    return `a prefix must begin with / and not end with one, such as /raftsman; this one is ${JSON.stringify(prefix)}`;
  }
  return prefix.isWellFormed() ? undefined : 'a prefix must be well-formed Unicode';
}

/** All keys that begin with one text, under the names that they have without it. */
export class KeySpace {
  readonly root: string;
  readonly #rootBytes: number;

  constructor(root: string) {
    this.root = root;
    this.#rootBytes = Buffer.byteLength(root);
  }

  key(key: string): Uint8Array {
    return Buffer.from(this.root + key);
  }

  range(key: string, end: string | undefined): EtcdRange {
    if (end === undefined) return { key: this.key(key), rangeEnd: NONE };
    return { key: this.key(key), rangeEnd: Buffer.from(end === OPEN_END ? prefixEnd(this.root) : this.root + end) };
  }

  holds(key: Uint8Array): boolean {
    return key.length >= this.#rootBytes && viewOf(key).toString('utf8', 0, this.#rootBytes) === this.root;
  }

  /** The name of a key that lies here. A foreign key that is no UTF-8 comes out with replacement characters. */
  name(key: Uint8Array): string {
    return viewOf(key).toString('utf8', this.#rootBytes);
  }
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
