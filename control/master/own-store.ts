/** This master's own member of the store that the masters keep among them, with all that looks after it. */

import type { Logger } from 'pino';
import { systemClock as storeClock } from '../../store/index.ts';
import type { Clock } from '../client/clock.ts';
import { watchForForeignCluster } from '../operations/foreign.ts';
import { memberRoutes, takeIn } from '../operations/member-routes.ts';
import { keepMemberFile, openMasterStore } from '../operations/open-store.ts';
import { masterPeers } from '../operations/peers.ts';
import type { Schedule } from '../operations/schedule.ts';
import { startSnapshots } from '../operations/snapshots.ts';
import { advertised, hostPort } from './addresses.ts';
import type { OwnCertificates } from './certificates.ts';
import { attachmentsOf, type MasterSetup } from './setup.ts';
import type { MasterStore } from './store.ts';

interface Endpoint {
  readonly host: string;
  readonly port: number;
}
export interface SnapshotSettings {
  readonly schedule: Schedule;
  readonly retention: number;
  /** Undefined for `snapshots` in the data directory. */
  readonly folder: string | undefined;
}
export interface OwnStoreOptions {
  readonly name: string;
  readonly dataDir: string;
  readonly peerListen: Endpoint;
  readonly clientUrl: string;
  readonly join: readonly string[] | undefined;
  /** Joins as a learner, and stays one until it is promoted. */
  readonly isLearner: boolean;
  /** Joins in the place of this member, by name or id. */
  readonly replace: string | undefined;
  /** Where to dial masters, by name or id, that are not where the membership says. */
  readonly peerAddresses: ReadonlyMap<string, string>;
  readonly snapshots: SnapshotSettings;
}
export interface OwnStoreTools {
  readonly setup: MasterSetup;
  readonly certificates: OwnCertificates;
  readonly clock: Clock;
  readonly random: () => number;
  readonly delay: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
  readonly logger: Logger;
  readonly onFatal: (error: Error) => void;
}

/** @throws what `openMasterStore` throws */
export async function openOwnStore(options: OwnStoreOptions, tools: OwnStoreTools): Promise<MasterStore> {
  const { dataDir, name, peerListen } = options;
  const { setup, certificates, clock, logger, onFatal, signal, delay, random } = tools;
  const { certificate, key } = certificates.administrator;
  const { authority, peerAuthority } = setup.secrets;
  const credentials = { authority: authority.certificate, certificate, key };
  const peers = masterPeers({ dataDir, join: options.join, credentials, delay, signal, logger });
  const store = await openMasterStore({
    dataDir,
    isJoining: options.join !== undefined,
    isLearner: options.isLearner,
    replaces: options.replace,
    discover: setup.discover,
    peers,
    clock,
    logger,
    store: {
      name,
      peer: {
        address: hostPort(advertised(peerListen.host), peerListen.port),
        listen: peerListen,
        tls: { key: certificates.peer.key, cert: certificates.peer.certificate, ca: peerAuthority.certificate },
      },
      clientUrl: options.clientUrl,
      clock: storeClock,
      wallClock: () => new Date(clock.now()),
      random,
      logger,
      onFatal,
      peerAddresses: options.peerAddresses,
      snapshotAttachments: () => attachmentsOf(setup),
    },
  });
  await using undo = new AsyncDisposableStack();
  undo.defer(() => store.close());
  const stopKeeping = await keepMemberFile({
    dataDir,
    store,
    clock,
    onFailure: error => logger.warn({ err: error }, 'member.json could not be written'),
  });
  undo.move();
  const stopWatching = watchForForeignCluster({ dataDir, store, peers, clock, onFound: onFatal });
  const snapshots = startSnapshots({ ...options.snapshots, dataDir, name, store, clock, logger });
  const membership = () => store.raft.status().membership;
  const dependencies = { store: store.client, membership };
  return {
    client: store.client,
    routes: [...memberRoutes(dependencies), ...snapshots.routes],
    onLeadership: listener => store.raft.onLeadership(listener),
    membership,
    status: () => store.client.status(),
    addMember: request => takeIn(dependencies, request),
    living() {
      const { id, membership: all, progress } = store.raft.status();
      return all.members.filter(member => member.id === id || progress?.[member.id]?.active);
    },
    async close() {
      stopKeeping();
      stopWatching();
      snapshots.stop();
      await store.close();
    },
  };
}
