/** Values of libraries, such as URLs and quantities: expressions only see them through functions. */
import type { Value } from './values.ts';

export class Opaque<T = unknown> {
  /** `kubernetes.URL`. */
  readonly typeName: string;
  readonly content: T;
  readonly #equals: (a: T, b: T) => boolean;

  constructor(typeName: string, content: T, equals: (a: T, b: T) => boolean) {
    this.typeName = typeName;
    this.content = content;
    this.#equals = equals;
  }

  equals(other: Value): boolean {
    // Values of one type were made with the same content type.
    return other instanceof Opaque && other.typeName === this.typeName && this.#equals(this.content, other.content as T);
  }
}
