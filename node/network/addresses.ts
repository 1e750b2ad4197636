/**
 * Which pod has which address of the node's range. Kept on disk, so that a pod keeps its address over an agent restart;
 * written before a wire is made, so that no address is ever given twice. `AddressBook` is pure, `AddressStore` writes it.
 */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { type Cidr, contains, formatAddress, formatCidr, parseAddress, sizeOf } from './cidr.ts';
import { AddressesExhaustedError } from './network.ts';

export class AddressBook {
  readonly #range: Cidr;
  readonly #byPod = new Map<string, number>();
  readonly #taken = new Set<number>();
  /** The last address given: the search goes on behind it, so that an address rests before it is used again. */
  #last: number;

  constructor(range: Cidr, given: Readonly<Record<string, string>> = {}) {
    this.#range = range;
    this.#last = gatewayOf(range);
    for (const [podUid, text] of Object.entries(given)) {
      const address = parseAddress(text);
      // After a change of range the old addresses lead nowhere.
      if (isAssignable(range, address) && !this.#taken.has(address)) this.#take(podUid, address);
    }
  }

  addressOf(podUid: string): string | undefined {
    const address = this.#byPod.get(podUid);
    return address === undefined ? undefined : formatAddress(address);
  }

  /** The pod's address, a new one if it has none. Throws {@link AddressesExhaustedError}. */
  assign(podUid: string): { readonly address: string; readonly isNew: boolean } {
    const known = this.addressOf(podUid);
    if (known !== undefined) return { address: known, isNew: false };
    const size = sizeOf(this.#range);
    for (let step = 1; step <= size; step += 1) {
      const address = this.#range.base + ((this.#last - this.#range.base + step) % size);
      if (!isAssignable(this.#range, address) || this.#taken.has(address)) continue;
      this.#take(podUid, address);
      return { address: formatAddress(address), isNew: true };
    }
    throw new AddressesExhaustedError(`no address is free in ${formatCidr(this.#range)}`);
  }

  /** False if it had none. */
  release(podUid: string): boolean {
    const address = this.#byPod.get(podUid);
    if (address === undefined) return false;
    this.#byPod.delete(podUid);
    this.#taken.delete(address);
    return true;
  }

  pods(): string[] {
    return [...this.#byPod.keys()];
  }

  toRecord(): Record<string, string> {
    return Object.fromEntries([...this.#byPod].map(([podUid, address]) => [podUid, formatAddress(address)]));
  }

  #take(podUid: string, address: number): void {
    this.#byPod.set(podUid, address);
    this.#taken.add(address);
    this.#last = address;
  }
}

/** The bridge's own address: the first after the network's. */
export function gatewayOf(range: Cidr): number {
  return range.base + 1;
}

function isAssignable(range: Cidr, address: number): boolean {
  const isBroadcast = address === range.base + sizeOf(range) - 1;
  return contains(range, address) && address > gatewayOf(range) && !isBroadcast;
}

const fileSchema = z.object({
  version: z.literal(1),
  podCIDR: z.string(),
  addresses: z.record(z.string(), z.string()),
});

/** The book's file. Writes one after the other; each replaces the file in one step. */
export class AddressStore {
  readonly #file: string;
  #writing: Promise<void> = Promise.resolve();

  constructor(dataDir: string) {
    this.#file = path.join(dataDir, 'pod-addresses.json');
  }

  /** Empty if there is no file. Throws if there is one that cannot be read: guessing could give an address twice. */
  async load(): Promise<Readonly<Record<string, string>>> {
    let text: string;
    try {
      text = await readFile(this.#file, 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return {};
      throw error;
    }
    try {
      return fileSchema.parse(JSON.parse(text)).addresses;
    } catch (error) {
      throw new Error(`${this.#file} is damaged: stop the pods of this node and remove the file`, { cause: error });
    }
  }

  save(podCIDR: string, book: AddressBook): Promise<void> {
    const write = async () => {
      const text = JSON.stringify({ version: 1, podCIDR, addresses: book.toRecord() });
      await mkdir(path.dirname(this.#file), { recursive: true });
      await writeFile(`${this.#file}.new`, text);
      await rename(`${this.#file}.new`, this.#file);
    };
    // One that failed must not stop those after it; its own caller hears of it.
    const result = this.#writing.then(write, write);
    this.#writing = result.catch(() => undefined);
    return result;
  }

  async remove(): Promise<void> {
    await this.#writing;
    await rm(this.#file, { force: true });
  }
}
