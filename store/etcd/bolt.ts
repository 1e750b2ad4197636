/**
 * Writes a file in the format of bbolt (https://github.com/etcd-io/bbolt: page.go, node.go, meta), the database of etcd, front
 * to back in one go: the sizes of all entries are known beforehand, so every page has its number before the first is written.
 *
 * A file is pages of 4 KiB: two copies of the meta page, an empty free list, the directory of buckets, then for each bucket a
 * B+ tree, leaves first and root last. An entry that is larger than a page spans several.
 */
import assert from 'node:assert';

const PAGE_BYTES = 4096;
const PAGE_HEAD_BYTES = 16;
const ELEMENT_BYTES = 16;
const BUCKET_BYTES = 16;
const FLAG_BRANCH = 0x01;
const FLAG_LEAF = 0x02;
const FLAG_META = 0x04;
const FLAG_FREELIST = 0x10;
const ELEMENT_IS_BUCKET = 1;
const MAGIC = 0xed0c_daed;
const VERSION = 2;
const FREELIST_PAGE = 2;
const DIRECTORY_PAGE = 3;
const FIRST_TREE_PAGE = 4;
/** Where the checksum of a meta page begins. */
const META_BYTES = 56;

/** The entries of one bucket, ordered by their keys. Read twice: first for the sizes. */
export interface BoltBucket {
  readonly name: string;
  readonly entries: () => Iterable<BoltEntry>;
}
export interface BoltEntry {
  readonly key: Buffer;
  readonly valueBytes: number;
  readonly value: () => Buffer;
}

interface Leaf {
  readonly firstKey: Buffer;
  count: number;
  sizeBytes: number;
}
interface Branch {
  readonly firstKey: Buffer;
  readonly children: readonly { readonly firstKey: Buffer; readonly page: number }[];
  readonly page: number;
}
interface Tree {
  readonly leaves: readonly Leaf[];
  /** From the one above the leaves to the root; empty where one leaf is the root. */
  readonly branches: readonly Branch[];
  readonly firstPage: number;
  readonly root: number;
}

/** A file that is ready to be written. */
export class BoltFile {
  readonly #buckets: readonly BoltBucket[];
  readonly #trees: (Tree | undefined)[] = [];
  #pages = FIRST_TREE_PAGE;

  /** @param buckets ordered by their names */
  constructor(buckets: readonly BoltBucket[]) {
    this.#buckets = buckets;
  }

  /** Lays out all pages. Yields now and then, so that its caller can let others work. */
  *plan(): Generator<void> {
    for (const bucket of this.#buckets) {
      const tree: Tree | undefined = yield* this.#planTree(bucket);
      this.#trees.push(tree);
    }
  }

  get sizeBytes(): number {
    return this.#pages * PAGE_BYTES;
  }

  /** The file, one or a few pages at a time. */
  *write(): Generator<Buffer> {
    yield this.#metaPage(0);
    yield this.#metaPage(1);
    yield page(FREELIST_PAGE, FLAG_FREELIST, 0, PAGE_HEAD_BYTES);
    yield this.#directory();
    for (const [at, bucket] of this.#buckets.entries()) {
      const tree = this.#trees[at];
      if (tree !== undefined) yield* writeTree(tree, bucket);
    }
  }

  *#planTree({ entries }: BoltBucket): Generator<void, Tree | undefined> {
    const leaves: Leaf[] = [];
    let leaf: Leaf | undefined;
    for (const { key, valueBytes } of entries()) {
      const entryBytes = ELEMENT_BYTES + key.length + valueBytes;
      if (leaf === undefined || leaf.sizeBytes + entryBytes > PAGE_BYTES) {
        leaf = { firstKey: key, count: 0, sizeBytes: PAGE_HEAD_BYTES };
        leaves.push(leaf);
        if (leaves.length % YIELD_LEAVES === 0) yield;
      }
      leaf.count++;
      leaf.sizeBytes += entryBytes;
    }
    if (leaves.length === 0) return undefined;
    return this.#stack(leaves);
  }

  /** Numbers the leaves, and builds the branches above them. */
  #stack(leaves: readonly Leaf[]): Tree {
    const firstPage = this.#pages;
    let level: { readonly firstKey: Buffer; readonly page: number }[] = leaves.map(({ firstKey, sizeBytes }) => {
      const own = this.#pages;
      this.#pages += pagesFor(sizeBytes);
      return { firstKey, page: own };
    });
    const branches: Branch[] = [];
    while (level.length > 1) {
      level = grouped(level).map(children => {
        const branch = { firstKey: (children[0] as Child).firstKey, children, page: this.#pages++ };
        branches.push(branch);
        return branch;
      });
    }
    return { leaves, branches, firstPage, root: (level[0] as Child).page };
  }

  #metaPage(number: 0 | 1): Buffer {
    const bytes = page(number, FLAG_META, 0, PAGE_HEAD_BYTES);
    const meta = bytes.subarray(PAGE_HEAD_BYTES);
    meta.writeUInt32LE(MAGIC, 0);
    meta.writeUInt32LE(VERSION, 4);
    meta.writeUInt32LE(PAGE_BYTES, 8);
    writeNumber(meta, DIRECTORY_PAGE, 16);
    writeNumber(meta, FREELIST_PAGE, 32);
    writeNumber(meta, this.#pages, 40);
    // The younger of the two copies counts.
    writeNumber(meta, number, 48);
    meta.writeBigUInt64LE(fnv1a(meta.subarray(0, META_BYTES)), META_BYTES);
    return bytes;
  }

  #directory(): Buffer {
    const elements = this.#buckets.map(({ name }, at) => {
      const tree = this.#trees[at];
      // An empty bucket is a leaf without entries, inside its own value.
      const value = Buffer.alloc(tree === undefined ? BUCKET_BYTES + PAGE_HEAD_BYTES : BUCKET_BYTES);
      if (tree !== undefined) writeNumber(value, tree.root, 0);
      else value.writeUInt16LE(FLAG_LEAF, BUCKET_BYTES + 8);
      return { key: Buffer.from(name), value, flags: ELEMENT_IS_BUCKET };
    });
    return leafPage(DIRECTORY_PAGE, elements);
  }
}

/** Leaves that are laid out before others may work. */
const YIELD_LEAVES = 2_000;

type Child = Branch['children'][number];

function* writeTree({ leaves, branches, firstPage }: Tree, { entries }: BoltBucket): Generator<Buffer> {
  let number = firstPage;
  const all = entries()[Symbol.iterator]();
  for (const { count, sizeBytes } of leaves) {
    const elements = Array.from({ length: count }, () => {
      const { value: entry, done } = all.next();
      assert(done !== true, 'the second reading gives what the first gave');
      const value = entry.value();
      assert(value.length === entry.valueBytes, 'a value is as long as was said');
      return { key: entry.key, value, flags: 0 };
    });
    yield leafPage(number, elements);
    number += pagesFor(sizeBytes);
  }
  for (const branch of branches) yield branchPage(branch);
}

function leafPage(
  number: number,
  elements: readonly { readonly key: Buffer; readonly value: Buffer; readonly flags: number }[],
): Buffer {
  const dataBytes = elements.reduce((sum, { key, value }) => sum + key.length + value.length, 0);
  const sizeBytes = PAGE_HEAD_BYTES + elements.length * ELEMENT_BYTES + dataBytes;
  const bytes = page(number, FLAG_LEAF, elements.length, sizeBytes);
  let at = PAGE_HEAD_BYTES + elements.length * ELEMENT_BYTES;
  for (const [index, { key, value, flags }] of elements.entries()) {
    const element = PAGE_HEAD_BYTES + index * ELEMENT_BYTES;
    bytes.writeUInt32LE(flags, element);
    // Places are counted from the element itself.
    bytes.writeUInt32LE(at - element, element + 4);
    bytes.writeUInt32LE(key.length, element + 8);
    bytes.writeUInt32LE(value.length, element + 12);
    at += key.copy(bytes, at);
    at += value.copy(bytes, at);
  }
  return bytes;
}

function branchPage({ page: number, children }: Branch): Buffer {
  const dataBytes = children.reduce((sum, { firstKey }) => sum + firstKey.length, 0);
  const sizeBytes = PAGE_HEAD_BYTES + children.length * ELEMENT_BYTES + dataBytes;
  assert(sizeBytes <= PAGE_BYTES, 'a branch fits its page');
  const bytes = page(number, FLAG_BRANCH, children.length, sizeBytes);
  let at = PAGE_HEAD_BYTES + children.length * ELEMENT_BYTES;
  for (const [index, { firstKey, page: child }] of children.entries()) {
    const element = PAGE_HEAD_BYTES + index * ELEMENT_BYTES;
    bytes.writeUInt32LE(at - element, element);
    bytes.writeUInt32LE(firstKey.length, element + 4);
    writeNumber(bytes, child, element + 8);
    at += firstKey.copy(bytes, at);
  }
  return bytes;
}

/** An empty page, with as many more behind it as its content needs. */
function page(number: number, flags: number, count: number, sizeBytes: number): Buffer {
  const pages = pagesFor(sizeBytes);
  const bytes = Buffer.alloc(pages * PAGE_BYTES);
  writeNumber(bytes, number, 0);
  bytes.writeUInt16LE(flags, 8);
  bytes.writeUInt16LE(count, 10);
  bytes.writeUInt32LE(pages - 1, 12);
  return bytes;
}

/** Runs that each fit one branch page. */
function grouped(children: readonly Child[]): Child[][] {
  const groups: Child[][] = [];
  let sizeBytes = Number.POSITIVE_INFINITY;
  for (const child of children) {
    const childBytes = ELEMENT_BYTES + child.firstKey.length;
    if (sizeBytes + childBytes > PAGE_BYTES) {
      groups.push([]);
      sizeBytes = PAGE_HEAD_BYTES;
    }
    groups.at(-1)?.push(child);
    sizeBytes += childBytes;
  }
  return groups;
}

function pagesFor(sizeBytes: number): number {
  return Math.ceil(sizeBytes / PAGE_BYTES);
}

function writeNumber(target: Buffer, value: number, at: number): void {
  target.writeBigUInt64LE(BigInt(value), at);
}

/** http://www.isthe.com/chongo/tech/comp/fnv/, 64 bits. */
function fnv1a(bytes: Uint8Array): bigint {
  let hash = 0xcbf2_9ce4_8422_2325n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100_0000_01b3n);
  return hash;
}
