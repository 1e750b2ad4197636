/** Keys with values, as the linearizability checker understands them, and a recorder for histories of them. */
import type { Model, RecordedOperation } from './linearizability.ts';

export type KeyValueInput =
  | { readonly type: 'get'; readonly key: string }
  | { readonly type: 'put'; readonly key: string; readonly value: string }
  | { readonly type: 'delete'; readonly key: string }
  /** Writes if the key has the expected value (undefined: is absent); answers whether it did. */
  | {
      readonly type: 'compareAndSet';
      readonly key: string;
      readonly expected: string | undefined;
      readonly value: string;
    };

/** A get answers with the value, a compareAndSet with a boolean, the others with nothing. */
export type KeyValueOutput = string | boolean | undefined;

export type KeyValueOperation = RecordedOperation<KeyValueInput, KeyValueOutput>;

export const keyValueModel: Model<string | undefined, KeyValueInput, KeyValueOutput> = {
  initial: undefined,
  partition: ({ key }) => key,
  name: value => (value === undefined ? '-' : `=${value}`),
  /** Writes of values that nobody ever saw, or asked for, differ only in when they were called. */
  alike(operations) {
    const seen = new Set<string>();
    for (const { input, output } of operations) {
      if (input.type === 'get' && typeof output?.value === 'string') seen.add(output.value);
      if (input.type === 'compareAndSet' && input.expected !== undefined) seen.add(input.expected);
    }
    return ({ input }) => {
      if (input.type === 'get') return 'get';
      if (input.type === 'delete') return 'delete';
      if (seen.has(input.value)) return undefined;
      return input.type === 'put'
        ? 'put'
        : `compareAndSet ${input.expected === undefined ? '-' : `=${input.expected}`}`;
    };
  },
  step(value, input, output) {
    switch (input.type) {
      case 'get':
        return output === undefined || output.value === value ? { state: value } : undefined;
      case 'put':
        return { state: input.value };
      case 'delete':
        return { state: undefined };
      case 'compareAndSet': {
        const fits = value === input.expected;
        if (output !== undefined && output.value !== fits) return undefined;
        return { state: fits ? input.value : value };
      }
    }
  },
};

/** What a client does with an operation that it has begun. Exactly one is called, or none if it never heard back. */
export interface Begun {
  returned(output: KeyValueOutput): void;
  /** It was certainly not carried out. */
  notDone(): void;
}

/** Records a history with a counter as its clock: its order is that of one process's event loop. */
export class HistoryRecorder {
  #now = 0;
  readonly #operations = new Map<number, KeyValueOperation>();

  begin(input: KeyValueInput): Begun {
    const calledAt = ++this.#now;
    this.#operations.set(calledAt, { input, calledAt, returnedAt: Number.POSITIVE_INFINITY, output: undefined });
    return {
      returned: value => {
        this.#operations.set(calledAt, { input, calledAt, returnedAt: ++this.#now, output: { value } });
      },
      notDone: () => {
        this.#operations.delete(calledAt);
      },
    };
  }

  /** The history so far. Reads without an answer say nothing and are left out. */
  get history(): KeyValueOperation[] {
    return [...this.#operations.values()].filter(({ input, output }) => input.type !== 'get' || output !== undefined);
  }
}
