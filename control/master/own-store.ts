/** Opens this master's member of the store that the masters keep among them, as its flags say. */
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { openOwnStore } from '../operations/own-store.ts';
import { masterPeers } from '../operations/peers.ts';
import { advertised, clientUrl, hostPort } from './addresses.ts';
import type { OwnCertificates } from './certificates.ts';
import type { MasterStore } from './datastore.ts';
import { ADMINISTRATORS, writeEtcdCredentials } from './etcd-credentials.ts';
import type { MasterContext, MasterOptions } from './options.ts';
import type { MasterSetup } from './setup.ts';

export interface OwnStoreParts {
  readonly options: MasterOptions;
  readonly context: MasterContext;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly onFatal: (error: Error) => void;
  readonly setup: MasterSetup;
  readonly certificates: OwnCertificates;
  readonly registry: Registry;
  /** What goes into each snapshot beside the state. */
  readonly snapshotAttachments: () => Record<string, string>;
}

/** This master's own member of the store that the masters keep among them. */
export async function openOwn(parts: OwnStoreParts): Promise<MasterStore> {
  const { options, context, logger, signal, onFatal, setup, certificates, registry, snapshotAttachments } = parts;
  const { dataDir, name, peerListen, etcdListen } = options;
  const { limits, heartbeatMs, electionTimeoutMs } = options.storeSettings;
  const { certificate, key } = certificates.administrator;
  const { authority, peerAuthority } = setup.secrets;
  if (etcdListen !== undefined) await writeEtcdCredentials({ dataDir, authority, client: certificates.administrator });
  return openOwnStore({
    dataDir,
    isJoining: options.join !== undefined,
    isLearner: options.isLearner,
    replaces: options.replace,
    discover: setup.discover,
    peers: masterPeers({
      dataDir,
      join: options.join,
      credentials: { authority: authority.certificate, certificate, key },
      delay: context.delay,
      signal,
      logger,
    }),
    clock: context.clock,
    logger,
    onFatal,
    store: {
      name,
      peer: {
        address: hostPort(advertised(peerListen.host), peerListen.port),
        listen: peerListen,
        tls: { key: certificates.peer.key, cert: certificates.peer.certificate, ca: peerAuthority.certificate },
      },
      clientUrl: clientUrl(options),
      random: context.random,
      onFatal,
      peerAddresses: options.peerAddresses,
      snapshotAttachments,
      metrics: registry,
      limits,
      raft: {
        ...(heartbeatMs !== undefined && { heartbeatMs }),
        ...(electionTimeoutMs !== undefined && { electionTimeoutMs }),
      },
      ...(etcdListen !== undefined && {
        serveEtcd: {
          listen: etcdListen,
          tls: {
            key: certificates.serving.key,
            cert: certificates.serving.certificate,
            ca: authority.certificate,
          },
          // Whoever reaches the store itself passes by all of the API's rules.
          organization: ADMINISTRATORS,
        },
      }),
    },
  });
}
