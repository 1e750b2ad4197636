/**
 * Who calls, and whether it may. As in etcd a token counts before the name in the client's certificate, and neither counts
 * while authentication is off.
 *
 * A read is checked in the very turn in which the state is read. A write is checked here and goes out on behalf of its
 * caller: the state refuses it if anything about users has changed by then (`mvcc/auth.ts`), and it is checked anew. A denial
 * is only believed when this member knows what all others know.
 */
import type { CommandClient } from '../client/base.ts';
import { AuthRefusedError, type RangeRequest, type RangeResult } from '../client/client.ts';
import type { LocalClient } from '../client/local.ts';
import type { AuthHead, Caller } from '../mvcc/auth.ts';
import type { Mvcc } from '../mvcc/mvcc.ts';
import type { Need } from '../mvcc/permissions.ts';
import { authError, etcdError } from './errors.ts';
import type { CallContext } from './grpc/call.ts';
import { GrpcError } from './grpc/status.ts';
import { GuardedClient } from './guarded-client.ts';
import { AUTH_RECHECKS_MAX } from './limits.ts';
import type { Tokens } from './tokens.ts';

/** What a call needs: `nothing` beyond a token that is none or good, the role root, or access to keys. */
export type Needs = 'nothing' | 'admin' | readonly Need[];

/** Somebody who calls. */
export interface Identity {
  /** Empty for nobody. */
  readonly user: string;
  /** For who came with a token: since when it is good. */
  readonly since?: number;
}

type Calling = Pick<CallContext, 'headers' | 'commonName'>;

export class Access {
  readonly #client: LocalClient;
  readonly #state: () => Mvcc;
  readonly #tokens: Tokens;

  constructor(parts: {
    readonly client: LocalClient;
    readonly state: () => Mvcc;
    readonly tokens: Tokens;
  }) {
    this.#client = parts.client;
    this.#state = parts.state;
    this.#tokens = parts.tokens;
  }

  /** Changes with everything that changes about users, roles and permissions. */
  get head(): AuthHead {
    return this.#auth.head;
  }

  /** Who calls. @throws {GrpcError} its token is not good */
  identify({ headers, commonName }: Calling): Identity {
    const { isEnabled, secret } = this.head;
    const token = isEnabled ? (headers.get('token') ?? headers.get('authorization')) : undefined;
    if (token === undefined) return { user: commonName ?? '' };
    const claims = this.#tokens.read(token, secret);
    if (claims === undefined || !this.#isGood(claims)) throw etcdError('invalidToken');
    return claims;
  }

  /** @throws {GrpcError} who calls may not do this, as far as this member knows */
  check(call: Calling, needs: Needs): Identity {
    const identity = this.identify(call);
    const refusal = this.refusal(identity, needs);
    if (refusal !== undefined) throw authError(refusal);
    return identity;
  }

  /** The same for somebody who was identified before. */
  refusal(identity: Identity, needs: Needs): 'userEmpty' | 'userNotFound' | 'denied' | undefined {
    if (!this.head.isEnabled || needs === 'nothing') return undefined;
    if (!this.#isGood(identity)) return 'denied';
    return needs === 'admin' ? this.#auth.adminRefusal(identity.user) : this.#auth.refusal(identity.user, needs);
  }

  /** Checks with all that was acknowledged before the call. @throws {GrpcError} */
  async require(call: Calling, needs: Needs): Promise<void> {
    if (!this.#auth.isTouched) return;
    await this.#client.barrier();
    this.check(call, needs);
  }

  /** As `check`, but does not deny before this member has caught up. @throws {GrpcError} */
  async admit(call: Calling, needs: Needs): Promise<Identity> {
    try {
      return this.check(call, needs);
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
      await this.#client.barrier();
      return this.check(call, needs);
    }
  }

  /** Reads a range on behalf of who calls. @throws {GrpcError} */
  read(call: Calling, request: RangeRequest): Promise<RangeResult> {
    return this.#client.range(request, () => {
      if (this.head.isEnabled) this.check(call, [readOf(request)]);
    });
  }

  /**
   * Does something that writes, on behalf of who calls: `work` gets the client to do it with, and may be called again if
   * permissions changed before anything was done. @throws {GrpcError}
   */
  async perform<Value>(
    call: Calling,
    needs: () => Needs,
    work: (client: CommandClient) => Promise<Value>,
  ): Promise<Value> {
    // Nothing is to be guarded, and members of an earlier version would not understand a guard.
    if (!this.#auth.isTouched) return work(this.#client);
    for (let rechecks = 0; ; rechecks++) {
      const by = await this.#caller(call, needs);
      try {
        return await work(new GuardedClient(this.#client, by));
      } catch (error) {
        const isStale = error instanceof AuthRefusedError && error.reason === 'changed';
        if (!isStale || rechecks >= AUTH_RECHECKS_MAX) throw error;
      }
    }
  }

  async #caller(call: Calling, needs: () => Needs): Promise<Caller> {
    if (!this.head.isEnabled) return { user: '', authRevision: 0 };
    const { user } = await this.admit(call, needs());
    return { user, authRevision: this.head.isEnabled ? this.head.revision : 0 };
  }

  /** False for one whose token has become void. */
  #isGood({ user, since }: Identity): boolean {
    return since === undefined || this.#auth.user(user)?.since === since;
  }

  get #auth(): Mvcc['auth'] {
    return this.#state().auth;
  }
}

/** Access to what a range request reads. */
export function readOf({ key, end }: Pick<RangeRequest, 'key' | 'end'>): Need {
  return { access: 'read', key, ...(end !== undefined && { end }) };
}

/** Access to what is written. */
export function writeOf({ key, end }: Pick<RangeRequest, 'key' | 'end'>): Need {
  return { access: 'write', key, ...(end !== undefined && { end }) };
}
