/**
 * The one large document, `/openapi/v2`, as bytes. It is made in short steps, so that nobody waits for it, and what the
 * built-in kinds bring is made once: a change of a definition costs what custom resources bring.
 */
import { encodeV2Part, encodeV2Parts } from '../api/openapi/gnostic.ts';
import type { OpenApiSource } from '../api/openapi/source.ts';
import { frameOfV2, partsOfV2, type V2Part } from '../api/openapi/v2.ts';
import { Pace } from './pace.ts';
import type { Clock } from './types.ts';

export type V2Form = 'json' | 'protobuf';

/** Bytes of the parts, and the names of what is in them. */
interface Pieces {
  readonly paths: Buffer;
  readonly definitions: Buffer;
  readonly names: ReadonlySet<string>;
}

export interface V2Wish {
  readonly form: V2Form;
  /** Changes with the document. */
  readonly hash: string;
  readonly builtIn: OpenApiSource;
  readonly custom: OpenApiSource;
}

export class OpenApiV2Bytes {
  readonly #clock: Clock;
  readonly #builtIn = new Map<V2Form, Promise<Pieces>>();
  /** The latest of each form. */
  readonly #made = new Map<V2Form, { readonly hash: string; readonly bytes: Promise<Uint8Array> }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The document, made if there is none with that hash. Who asks meanwhile gets the same. */
  get(wish: V2Wish): Promise<Uint8Array> {
    const { form, hash } = wish;
    const made = this.#made.get(form);
    if (made?.hash === hash) return made.bytes;
    const bytes = this.#make(wish);
    this.#made.set(form, { hash, bytes });
    // A failure is told to who asked, and not kept.
    bytes.catch(() => this.#made.delete(form));
    return bytes;
  }

  async #make({ form, builtIn, custom }: V2Wish): Promise<Uint8Array> {
    let own = this.#builtIn.get(form);
    if (!own) {
      own = this.#pieces(form, builtIn, new Set());
      this.#builtIn.set(form, own);
      own.catch(() => this.#builtIn.delete(form));
    }
    const first = await own;
    const more = await this.#pieces(form, custom, first.names);
    return form === 'json' ? joinJson(builtIn, first, more) : joinProtobuf(builtIn, first, more);
  }

  async #pieces(form: V2Form, source: OpenApiSource, besides: ReadonlySet<string>): Promise<Pieces> {
    const pace = new Pace(this.#clock, 1);
    const paths: Uint8Array[] = [];
    const definitions: Uint8Array[] = [];
    const names = new Set<string>();
    for (const part of partsOfV2(source, besides)) {
      if (pace.isDue()) await pace.turn();
      const isPath = 'path' in part;
      names.add(isPath ? part.path : part.definition);
      (isPath ? paths : definitions).push(form === 'json' ? jsonPart(part) : encodeV2Part(part));
    }
    return { paths: Buffer.concat(paths), definitions: Buffer.concat(definitions), names };
  }
}

/** `"name":{…},`: the comma behind the last one is cut off by who joins them. */
function jsonPart(part: V2Part): Buffer {
  const [name, value] = 'path' in part ? [part.path, part.item] : [part.definition, part.schema];
  return Buffer.from(`${JSON.stringify(name)}:${JSON.stringify(value)},`);
}

function joinJson(source: OpenApiSource, first: Pieces, more: Pieces): Uint8Array {
  const frame = JSON.stringify(frameOfV2(source));
  const members = (buffers: readonly Buffer[]) => {
    const whole = Buffer.concat(buffers);
    return whole.subarray(0, Math.max(whole.length - 1, 0));
  };
  return Buffer.concat([
    Buffer.from(`${frame.slice(0, -1)},"paths":{`),
    members([first.paths, more.paths]),
    Buffer.from('},"definitions":{'),
    members([first.definitions, more.definitions]),
    Buffer.from('}}'),
  ]);
}

function joinProtobuf(source: OpenApiSource, first: Pieces, more: Pieces): Uint8Array {
  const frame = frameOfV2(source);
  return encodeV2Parts(frame, [first.paths, more.paths], [first.definitions, more.definitions]);
}
