/**
 * Conversion of custom resources between the versions of their definition. Most versions differ in their name only. Others
 * are converted by a webhook, which takes time, while everything that reads an object wants it at once: such work throws
 * {@link PendingConversion}, the webhook is asked, and the work is done again with the answer at hand
 * ({@link Conversions.settle}). What is done again must be harmless.
 */
import { ConversionError, conversionReview, readConversion, shownKind } from '../../api/custom/conversion.ts';
import type { CustomDefinition } from '../../api/custom/definition.ts';
import type { KubernetesObject } from '../../api/kind.ts';
import { ApiError } from '../../api/status.ts';
import type { Callout } from '../callout/client.ts';
import { callReview } from '../callout/review.ts';
import {
  CONVERSION_MS_MAX,
  CONVERSION_OBJECTS_MAX,
  CONVERSION_ROUNDS_MAX,
  CONVERTED_BYTES_MAX,
  CONVERTED_ENTRIES_MAX,
} from './limits.ts';

/** An object has to be converted by a webhook before the work can go on. */
export class PendingConversion extends Error {
  readonly definition: CustomDefinition;
  readonly object: KubernetesObject;
  readonly toVersion: string;

  constructor(definition: CustomDefinition, object: KubernetesObject, toVersion: string) {
    super(`${shownKind(object)} has to be converted to ${toVersion} first`);
    this.definition = definition;
    this.object = object;
    this.toVersion = toVersion;
  }
}

export interface ConversionsOptions {
  readonly callout: Callout;
  readonly newUid: () => string;
}

export class Conversions {
  readonly #options: ConversionsOptions;
  /** Text of the converted object by what it was made of; the oldest goes first. */
  readonly #converted = new Map<string, string>();
  #bytes = 0;

  constructor(options: ConversionsOptions) {
    this.#options = options;
  }

  /** An object in another version. Throws {@link PendingConversion} if a webhook has to be asked first. */
  convert(object: KubernetesObject, toVersion: string, definition: CustomDefinition): KubernetesObject {
    if (definition.conversion.strategy !== 'Webhook') {
      object.apiVersion = `${definition.group}/${toVersion}`;
      return object;
    }
    const text = this.#converted.get(keyOf(definition, object, toVersion));
    if (text === undefined) throw new PendingConversion(definition, object, toVersion);
    return JSON.parse(text) as KubernetesObject;
  }

  /** Does work that may need conversions, as often as it takes. Throws what the work throws, and what webhooks refuse. */
  async settle<T>(work: () => T | Promise<T>): Promise<T> {
    for (let round = 0; round < CONVERSION_ROUNDS_MAX; round++) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof PendingConversion)) throw error;
        await this.#resolve([error]);
      }
    }
    throw new ApiError('', 'conversion webhooks keep giving other objects', { code: 500 });
  }

  /** Does work for each of many objects, and asks for all conversions at once. */
  async settleAll<T>(items: readonly T[], work: (item: T) => void): Promise<void> {
    for (let start = 0; start < items.length; start += CONVERSION_OBJECTS_MAX) {
      let left = items.slice(start, start + CONVERSION_OBJECTS_MAX);
      for (let round = 0; left.length > 0 && round < CONVERSION_ROUNDS_MAX; round++) {
        const pending: { readonly item: T; readonly conversion: PendingConversion }[] = [];
        for (const item of left) {
          try {
            work(item);
          } catch (error) {
            if (!(error instanceof PendingConversion)) throw error;
            pending.push({ item, conversion: error });
          }
        }
        await this.#resolve(pending.map(({ conversion }) => conversion));
        left = pending.map(({ item }) => item);
      }
    }
  }

  /** Asks the webhooks. Objects of several versions go in questions of their own, one for each wanted version. */
  async #resolve(pending: readonly PendingConversion[]): Promise<void> {
    const groups = new Map<string, PendingConversion[]>();
    for (const one of pending) {
      const name = `${one.definition.uid} ${one.object.apiVersion} ${one.toVersion}`;
      const group = groups.get(name);
      if (group) group.push(one);
      else groups.set(name, [one]);
    }
    await Promise.all([...groups.values()].map(group => this.#ask(group)));
  }

  async #ask(pending: readonly PendingConversion[]): Promise<void> {
    const [first] = pending;
    if (!first) return;
    const { definition, toVersion } = first;
    const { callout, newUid } = this.#options;
    const review = conversionReview(definition, {
      uid: newUid(),
      desiredAPIVersion: `${definition.group}/${toVersion}`,
      objects: pending.map(({ object }) => object),
    });
    let converted: KubernetesObject[];
    try {
      const config = definition.conversion.webhook?.clientConfig ?? {};
      const answer = await callReview(callout, config, { review, timeoutMs: CONVERSION_MS_MAX });
      converted = readConversion(review, answer);
    } catch (error) {
      const why =
        error instanceof ConversionError
          ? error.message
          : `conversion webhook for ${shownKind(first.object)} failed: ${error instanceof Error ? error.message : String(error)}`;
      throw new ApiError('', why, { code: 500, cause: error });
    }
    for (const [index, { object }] of pending.entries()) {
      this.#keep(keyOf(definition, object, toVersion), JSON.stringify(converted[index]));
    }
  }

  #keep(key: string, text: string): void {
    this.#converted.delete(key);
    this.#converted.set(key, text);
    this.#bytes += key.length + text.length;
    for (const [oldest, value] of this.#converted) {
      const isFull = this.#converted.size > CONVERTED_ENTRIES_MAX || this.#bytes > CONVERTED_BYTES_MAX;
      if (!isFull || oldest === key) return;
      this.#converted.delete(oldest);
      this.#bytes -= oldest.length + value.length;
    }
  }
}

/** Changes with the definition, for another converter may answer otherwise. */
function keyOf({ formKey }: CustomDefinition, object: KubernetesObject, toVersion: string): string {
  return `${formKey} ${toVersion} ${JSON.stringify(object)}`;
}
