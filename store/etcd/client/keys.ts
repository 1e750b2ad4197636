/**
 * Where a client's keys lie in etcd. Several users may share one etcd, so everything of ours begins with a prefix; below it
 * what the store holds (`PREFIX/data`) is apart from what the client itself keeps (`PREFIX/own`), so that a range over all
 * keys never meets the latter.
 */
import { keyBytes, keyFromBytes, OPEN_END, prefixEnd } from '../../mvcc/keys.ts';

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
  readonly #rootBytes: Uint8Array;

  constructor(root: string) {
    this.root = root;
    this.#rootBytes = keyBytes(root);
  }

  key(key: string): Uint8Array {
    return keyBytes(this.root + key);
  }

  range(key: string, end: string | undefined): EtcdRange {
    if (end === undefined) return { key: this.key(key), rangeEnd: NONE };
    return { key: this.key(key), rangeEnd: keyBytes(end === OPEN_END ? prefixEnd(this.root) : this.root + end) };
  }

  holds(key: Uint8Array): boolean {
    return Buffer.compare(key.subarray(0, this.#rootBytes.length), this.#rootBytes) === 0;
  }

  /** The name of a key that lies here. */
  name(key: Uint8Array): string {
    return keyFromBytes(key.subarray(this.#rootBytes.length));
  }
}
