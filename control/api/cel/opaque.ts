/** Values of libraries, such as URLs and quantities: expressions only see them through functions. */
import type { Value } from './values.ts';

export class Opaque<T = unknown> {
  /** `kubernetes.URL`. */
  readonly typeName: string;
  readonly content: T;
  readonly #isEqualTo: (content: unknown) => boolean;

  constructor(typeName: string, content: T, equals: (a: T, b: T) => boolean) {
    this.typeName = typeName;
    this.content = content;
    // All values of one type are made with the same kind of content.
    this.#isEqualTo = other => equals(content, other as T);
  }

  equals(other: Value): boolean {
    return other instanceof Opaque && other.typeName === this.typeName && this.#isEqualTo(other.content);
  }
}
