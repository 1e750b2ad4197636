/** What the first master of a new cluster does once, before it answers anybody. */
import type { ApiServer } from '../apiserver/server.ts';
import type { Clock } from '../client/clock.ts';
import { RestClient } from '../client/rest.ts';
import { ensureToken } from '../join/tokens.ts';
import { MASTER } from '../leader/accounts.ts';
import { parseToken } from '../pki/token.ts';
import type { MasterStore } from './datastore.ts';
import { inProcessTransport } from './leadership.ts';
import type { MasterContext, MasterOptions } from './options.ts';

/** How long a new cluster's first master may take to lead itself. */
const FIRST_LEADERSHIP_MS = 30_000;

export interface FirstStart {
  readonly options: MasterOptions;
  readonly store: MasterStore;
  readonly apiServer: ApiServer;
  readonly context: MasterContext;
}

/** Before anybody can ask: the first objects, and the token with which others may join. */
export async function prepareNewCluster({ options, store, apiServer, context }: FirstStart): Promise<void> {
  // In a store of others somebody else may lead.
  if (options.datastore === undefined) await firstLeadership(store, context.clock);
  if (options.token === undefined) return;
  const client = new RestClient({
    transport: inProcessTransport(apiServer, MASTER),
    clock: context.clock,
    userAgent: 'raftsman-master',
  });
  await ensureToken(client, {
    token: parseToken(options.token),
    roles: ['master', 'node'],
    description: 'given at the first start',
    expiresAt: undefined,
  });
}

async function firstLeadership(store: MasterStore, clock: Clock): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const cancel = clock.setTimeout(
      () => reject(new Error(`the store did not elect its only member within ${FIRST_LEADERSHIP_MS / 1000} s`)),
      FIRST_LEADERSHIP_MS,
    );
    const unsubscribe = store.onLeadership(({ isLeader }) => {
      if (!isLeader) return;
      cancel();
      queueMicrotask(() => unsubscribe());
      resolve();
    });
  });
}
