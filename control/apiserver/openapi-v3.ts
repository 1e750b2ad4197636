/** The documents of OpenAPI version 3 as bytes, each made when first asked for, in short steps, and kept. */

import type { OpenApiSource } from '../api/openapi/source.ts';
import { frameOfV3, type V3Part } from '../api/openapi/v3.ts';
import { Pace } from './pace.ts';
import type { Clock } from './types.ts';

export interface V3Wish {
  /** Group version, such as `apis/apps/v1`. */
  readonly name: string;
  /** Changes with the document. */
  readonly hash: string;
  readonly source: OpenApiSource;
  readonly parts: () => Iterable<V3Part>;
}

export class OpenApiV3Bytes {
  readonly #clock: Clock;
  /** The latest of each name. */
  readonly #made = new Map<string, { readonly hash: string; readonly bytes: Promise<Uint8Array> }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The document, made if there is none with that hash. Who asks meanwhile gets the same. */
  get(wish: V3Wish): Promise<Uint8Array> {
    const { name, hash } = wish;
    const made = this.#made.get(name);
    if (made?.hash === hash) return made.bytes;
    const bytes = this.#make(wish);
    this.#made.set(name, { hash, bytes });
    // A failure is told to who asked, and not kept.
    bytes.catch(() => {
      if (this.#made.get(name)?.bytes === bytes) this.#made.delete(name);
    });
    return bytes;
  }

  /** Lets go of documents that there are no more. */
  keepOnly(names: { has(name: string): boolean }): void {
    for (const name of this.#made.keys()) if (!names.has(name)) this.#made.delete(name);
  }

  async #make({ source, parts }: V3Wish): Promise<Uint8Array> {
    const pace = new Pace(this.#clock, 1);
    const paths: string[] = [];
    const schemas: string[] = [];
    for (const part of parts()) {
      if ('path' in part) paths.push(`${JSON.stringify(part.path)}:${JSON.stringify(part.item)}`);
      else schemas.push(`${JSON.stringify(part.definition)}:${JSON.stringify(part.schema)}`);
      if (pace.isDue()) await pace.turn();
    }
    const frame = JSON.stringify(frameOfV3(source)).slice(0, -1);
    return Buffer.from(`${frame},"paths":{${paths.join()}},"components":{"schemas":{${schemas.join()}}}}`);
  }
}
