/** The local client, counting what is asked of this member and what became of it. */

import type { RangeRequest, RangeResult, WatchBatch, WatchRequest } from '../client/client.ts';
import { LocalClient, type LocalClientOptions } from '../client/local.ts';
import type { Caller } from '../mvcc/auth.ts';
import type { Command, CommandValue } from '../mvcc/command.ts';
import type { RequestTallies } from './requests.ts';
import type { RequestTally } from './tallies.ts';

export class CountingClient extends LocalClient {
  readonly #now: () => number;
  readonly #tallies: RequestTallies;
  // Looked up once: these are asked for thousands of times a second.
  readonly #puts: RequestTally;
  readonly #transactions: RequestTally;
  readonly #ranges: RequestTally;

  constructor(options: LocalClientOptions & { readonly tallies: RequestTallies }) {
    super(options);
    const { clock, tallies } = options;
    this.#now = () => clock.now();
    this.#tallies = tallies;
    this.#puts = tallies.of('put');
    this.#transactions = tallies.of('transaction');
    this.#ranges = tallies.of('range');
  }

  override range(request: RangeRequest, admit?: () => void): Promise<RangeResult> {
    return this.#count(this.#ranges, super.range(request, admit));
  }

  override watch(request: WatchRequest): AsyncIterable<WatchBatch> {
    const watching = super.watch(request);
    this.#tallies.of('watch').ok++;
    return watching;
  }

  override execute(command: Command, by?: Caller): Promise<CommandValue> {
    return this.#count(this.#tallyOf(command), super.execute(command, by));
  }

  #tallyOf(command: Command): RequestTally {
    if (command.type !== 'transaction') return this.#tallies.of(command.type);
    const { compare = [], then, otherwise = [] } = command.transaction;
    const [only] = then;
    if (then.length !== 1 || only === undefined || compare.length > 0 || otherwise.length > 0)
      return this.#transactions;
    return only.type === 'put' ? this.#puts : this.#tallies.of(only.type);
  }

  #count<Value>(tally: RequestTally, work: Promise<Value>): Promise<Value> {
    const sinceMs = this.#now();
    work.then(
      () => tally.succeeded(this.#now() - sinceMs),
      (error: unknown) => tally.failed(this.#now() - sinceMs, codeOf(error)),
    );
    return work;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'ERROR';
}
