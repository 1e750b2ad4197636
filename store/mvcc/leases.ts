/** Leases and the keys that hang on them. Ids are counted in the log, so every member gives the same ones. */
import assert from 'node:assert';
import type { Lease } from './command.ts';

interface Holder {
  lease: Lease;
  readonly keys: Set<string>;
}

export class LeaseTable {
  readonly #holders = new Map<number, Holder>();

  get size(): number {
    return this.#holders.size;
  }

  get(id: number): Lease | undefined {
    return this.#holders.get(id)?.lease;
  }

  /** Adds a lease, or replaces it with its renewed self. */
  set(lease: Lease): void {
    const holder = this.#holders.get(lease.id);
    if (holder === undefined) this.#holders.set(lease.id, { lease, keys: new Set() });
    else holder.lease = lease;
  }

  remove(id: number): void {
    const holder = this.#holders.get(id);
    assert(holder !== undefined && holder.keys.size === 0, 'a lease goes after its keys');
    this.#holders.delete(id);
  }

  attach(id: number, key: string): void {
    const holder = this.#holders.get(id);
    assert(holder !== undefined, 'a key hangs on a lease that exists');
    holder.keys.add(key);
  }

  detach(id: number, key: string): void {
    this.#holders.get(id)?.keys.delete(key);
  }

  keysOf(id: number): readonly string[] {
    return [...(this.#holders.get(id)?.keys ?? [])];
  }

  list(): readonly Lease[] {
    return [...this.#holders.values()].map(holder => holder.lease);
  }
}
