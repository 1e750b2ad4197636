/** What every description is: a function from an object, and help, to lines that hold tabs. */
import type { JsonObject } from '../client/api.ts';

/** What a description may need besides the object. */
export interface DescribeHelp {
  readonly now: number;
  /** Objects of another resource, by its name, with a label or field selector. */
  list<T>(resource: string, selection: { selector?: string; fieldSelector?: string; namespace?: string }): Promise<T[]>;
  /** All of a resource in a namespace; undefined if the server does not serve it. */
  maybeList<T>(resource: string, namespace: string): Promise<T[] | undefined>;
  /** Undefined if there is none. */
  get<T>(resource: string, name: string, namespace: string): Promise<T | undefined>;
}

export type Describe = (object: JsonObject, help: DescribeHelp) => Promise<string[]> | string[];

/** The object has been looked up by its kind, so its type is known. */
export const describing =
  <T>(describe: (object: T, help: DescribeHelp) => Promise<string[]> | string[]): Describe =>
  (object, help) =>
    describe(object as T, help);
