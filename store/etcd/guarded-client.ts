/** The store on behalf of a user: whatever is written is refused once users or permissions are others than were looked at. */
import { CommandClient } from '../client/base.ts';
import type {
  Alarm,
  LeaseTimeToLive,
  MembershipClient,
  RangeRequest,
  RangeResult,
  StoreHash,
  StoreStatus,
  WatchBatch,
  WatchRequest,
} from '../client/client.ts';
import type { LocalClient } from '../client/local.ts';
import type { Caller } from '../mvcc/auth.ts';
import type { Command, CommandValue } from '../mvcc/command.ts';

export class GuardedClient extends CommandClient {
  readonly #client: LocalClient;
  readonly #by: Caller;
  protected override readonly membership: MembershipClient;

  constructor(client: LocalClient, by: Caller) {
    super();
    this.#client = client;
    this.#by = by;
    this.membership = client;
  }

  override execute(command: Command): Promise<CommandValue> {
    return this.#client.execute(command, this.#by);
  }

  range(request: RangeRequest): Promise<RangeResult> {
    return this.#client.range(request);
  }
  watch(request: WatchRequest): AsyncIterable<WatchBatch> {
    return this.#client.watch(request);
  }
  status(): Promise<StoreStatus> {
    return this.#client.status();
  }
  saveSnapshot(): AsyncIterable<Uint8Array> {
    return this.#client.saveSnapshot();
  }
  alarms(): Promise<readonly Alarm[]> {
    return this.#client.alarms();
  }
  hash(revision?: number): Promise<StoreHash> {
    return this.#client.hash(revision);
  }
  leaseTimeToLive(id: number): Promise<LeaseTimeToLive | undefined> {
    return this.#client.leaseTimeToLive(id);
  }
  leases(): Promise<readonly number[]> {
    return this.#client.leases();
  }
  /** It is another's to close. */
  async close(): Promise<void> {}
}
