/** Brings a Service's slices to what a plan says, and knows of what it wrote and has not seen yet. */
import { endpointslices as slicesKind } from '../api/generated/kinds.ts';
import type { EndpointSlice } from '../api/generated/types.ts';
import { hasReason } from '../api/status.ts';
import type { Client } from '../client/client.ts';
import type { Clock } from '../client/clock.ts';
import { Expectations } from '../client/expectations.ts';
import type { Informer } from '../client/informer.ts';
import { objectKey } from '../client/keys.ts';
import { isNamespaceTerminating } from './pod-control.ts';

export interface SliceChanges {
  readonly create: readonly EndpointSlice[];
  readonly update: readonly EndpointSlice[];
  readonly remove: readonly EndpointSlice[];
}

export interface SliceWriterOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly slices: Informer<EndpointSlice>;
  /** The Service whose slice this is, if it is one of the writer's. */
  readonly ownerOf: (slice: EndpointSlice) => string | undefined;
  /** Hears of Services whose slices changed. */
  readonly onChange: (key: string) => void;
}

const INDEX_PREFIX = 'service of ';

export class SliceWriter {
  readonly #client: Client;
  readonly #expectations: Expectations;
  readonly #slices: Informer<EndpointSlice>;
  readonly #index: string;

  constructor(name: string, { client, clock, slices, ownerOf, onChange }: SliceWriterOptions) {
    this.#client = client;
    this.#expectations = new Expectations(clock);
    this.#slices = slices;
    this.#index = INDEX_PREFIX + name;
    slices.addIndex(this.#index, slice => [ownerOf(slice) ?? ''].filter(Boolean));
    slices.addHandler({
      added: slice => {
        const key = ownerOf(slice);
        if (key === undefined) return;
        this.#expectations.creationObserved(key);
        onChange(key);
      },
      updated: (slice, old) => {
        for (const key of new Set([ownerOf(slice), ownerOf(old)])) if (key !== undefined) onChange(key);
      },
      deleted: slice => {
        const key = ownerOf(slice);
        if (key === undefined) return;
        this.#expectations.deletionObserved(key, slice.metadata?.uid ?? '');
        onChange(key);
      },
    });
  }

  /** The Service's slices that are to stay; undefined while what was written has not come back. */
  slicesOf(key: string): readonly EndpointSlice[] | undefined {
    if (!this.#expectations.areMet(key)) return undefined;
    return this.#slices.byIndex(this.#index, key).filter(({ metadata }) => !metadata?.deletionTimestamp);
  }

  /** @throws what the API says, but for what has gone by itself. */
  async write(key: string, { create, update, remove }: SliceChanges): Promise<void> {
    this.#expectations.expect(key, {
      creations: create.length,
      deletions: remove.map(({ metadata }) => metadata?.uid ?? ''),
    });
    let made = 0;
    try {
      for (const slice of create) {
        await this.#client.create(slicesKind, slice);
        made++;
      }
    } catch (error) {
      for (; made < create.length; made++) this.#expectations.creationObserved(key);
      for (const { metadata } of remove) this.#expectations.deletionObserved(key, metadata?.uid ?? '');
      // Nothing can be made in it any more, and all in it goes.
      if (isNamespaceTerminating(error)) return;
      throw error;
    }
    let gone = 0;
    try {
      // One that the cache has an older version of is refused, and planned again.
      for (const slice of update) await this.#client.update(slicesKind, slice);
      for (const slice of remove) {
        await this.#remove(slice, key);
        gone++;
      }
    } catch (error) {
      for (const { metadata } of remove.slice(gone)) this.#expectations.deletionObserved(key, metadata?.uid ?? '');
      throw error;
    }
  }

  async #remove(slice: EndpointSlice, key: string): Promise<void> {
    const uid = slice.metadata?.uid ?? '';
    try {
      await this.#client.delete(slicesKind, objectKey(slice), { uid });
    } catch (error) {
      this.#expectations.deletionObserved(key, uid);
      if (!hasReason(error, 'NotFound')) throw error;
    }
  }
}
