import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Logger, pino } from 'pino';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { LogFile } from './apiserver/audit/log-file.ts';
import { AuditPolicyError, readAuditPolicy } from './apiserver/audit/policy.ts';
import type { OidcOptions } from './apiserver/auth/oidc.ts';
import { DEFAULT_HEADERS } from './apiserver/auth/request-header.ts';
import { parseTokenFile } from './apiserver/auth/token-file.ts';
import { keepBootstrapObjects } from './apiserver/bootstrap.ts';
import { type ApiServer, createApiServer } from './apiserver/server.ts';
import type { Clock } from './client/clock.ts';
import { RestClient } from './client/rest.ts';
import { startControllers } from './controllers/all.ts';
import { ensureToken } from './join/tokens.ts';
import { advertised, hostPort } from './master/addresses.ts';
import { issueOwn, type OwnCertificates } from './master/certificates.ts';
import { type DatastoreOptions, type MasterStore, openDatastore, refuseOtherStore } from './master/datastore.ts';
import { ADMINISTRATORS, writeEtcdCredentials } from './master/etcd-credentials.ts';
import {
  CONTROLLER_MANAGER,
  controllerUser,
  inProcessTransport,
  LeaderRunner,
  type LeaderWork,
  MASTER,
  SCHEDULER,
} from './master/leadership.ts';
import { startLocalAgent } from './master/local-agent.ts';
import { SecretsAtRest } from './master/secrets-at-rest.ts';
import { attachmentsOf, type MasterSetup, setUp } from './master/setup.ts';
import { describeEnd } from './operations/end.ts';
import { hasStore } from './operations/open-store.ts';
import { openOwnStore } from './operations/own-store.ts';
import { masterPeers } from './operations/peers.ts';
import { productRoutes } from './operations/product-routes.ts';
import { refuseIfInterrupted } from './operations/recover.ts';
import { refuseIfRemoved } from './operations/removed.ts';
import { type SnapshotSettings, startSnapshots } from './operations/snapshots.ts';
import type { StoreSettings } from './operations/store-settings.ts';
import { writeKubeconfig } from './pki/kubeconfig.ts';
import { SIGNED_USAGES, signAsRequested } from './pki/signing.ts';
import { parseToken } from './pki/token.ts';
import { runScheduler } from './scheduler/scheduler.ts';

interface Endpoint {
  readonly host: string;
  readonly port: number;
}
export interface MasterOptions {
  readonly name: string;
  readonly dataDir: string;
  readonly listen: Endpoint;
  readonly peerListen: Endpoint;
  /** Where the store answers etcd's v3 API; undefined for nowhere. */
  readonly etcdListen: Endpoint | undefined;
  readonly storeSettings: StoreSettings;
  /** Where the `kubernetes` Service leads; undefined for this master's own address. */
  readonly advertise: Endpoint | undefined;
  readonly token: string | undefined;
  readonly join: readonly string[] | undefined;
  /** Joins as a learner, and stays one until it is promoted. */
  readonly isLearner: boolean;
  /** Joins in the place of this member, by name or id. */
  readonly replace: string | undefined;
  /** Where to dial masters, by name or id, that are not where the membership says. */
  readonly peerAddresses: ReadonlyMap<string, string>;
  readonly snapshots: SnapshotSettings;
  readonly withAgent: boolean;
  readonly tlsSans: readonly string[];
  readonly authentication: AuthenticationFlags;
  readonly audit: AuditFlags;
  /** An EncryptionConfiguration; undefined for keys of the masters' own. */
  readonly encryptionConfigurationFile: string | undefined;
  readonly clusterCIDR: string | undefined;
  readonly serviceCIDR: string | undefined;
  /** An external etcd, in place of a store of its own. */
  readonly datastore: DatastoreOptions | undefined;
}
/** How else users may be known than by the cluster's own certificates and tokens. */
export interface AuthenticationFlags {
  /** A file of static tokens. */
  readonly tokenFile?: string | undefined;
  /** The authority of the proxies in front, a file in PEM, and the common names that they may have. */
  readonly proxyAuthorityFile?: string | undefined;
  readonly proxyNames?: readonly string[] | undefined;
  readonly isAnonymousRefused: boolean;
  /** An OpenID Connect provider. */
  readonly oidc?: (Omit<OidcOptions, 'authority'> & { readonly authorityFile: string | undefined }) | undefined;
}
/** What is written down of requests; nothing without a policy. */
export interface AuditFlags {
  readonly policyFile: string | undefined;
  readonly logPath: string | undefined;
  /** Days; 0 for ever. */
  readonly ageDaysMax: number;
  /** 0 for all. */
  readonly backupsMax: number;
  readonly sizeMebibytesMax: number;
}
/** What the process hands in. */
export interface MasterContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly command: readonly [string, ...string[]];
  readonly clock: Clock;
  readonly random: () => number;
  readonly delay: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly onSignal: (signals: readonly NodeJS.Signals[], callback: (signal: NodeJS.Signals) => void) => () => void;
}

/** The Kubernetes version whose behaviour is served. */
const VERSION = {
  major: '1',
  minor: '33',
  gitVersion: 'v1.33.1+raftsman',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: process.version,
  compiler: 'v8',
  platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
} as const;
const NODE_PORT_RANGE = '30000-32767';
/** How long a new cluster's first master may take to lead itself. */
const FIRST_LEADERSHIP_MS = 30_000;
/** How finely the event loop's lag is measured. */
const EVENT_LOOP_PRECISION_MS = 20;

/** Runs a master until it is told to stop, or until it must not go on. */
export async function runMaster(options: MasterOptions, context: MasterContext): Promise<void> {
  const { dataDir, name } = options;
  try {
    await refuseIfRemoved(dataDir);
    refuseIfInterrupted(dataDir);
    await run(options, context);
  } catch (error) {
    throw await describeEnd(error, { dataDir, name, at: new Date(context.clock.now()) });
  }
}

async function run(options: MasterOptions, context: MasterContext): Promise<void> {
  const logger = pino(
    { level: context.env.RAFTSMAN_LOG ?? 'info', base: { master: options.name } },
    pino.destination({ dest: 2, sync: true }),
  );
  const stop = new AbortController();
  const fatal = Promise.withResolvers<never>();
  fatal.promise.catch(() => {});
  const release = context.onSignal(['SIGTERM', 'SIGINT'], () => stop.abort());
  const stopped = new Promise<void>(resolve => stop.signal.addEventListener('abort', () => resolve(), { once: true }));
  const closers: (() => Promise<void>)[] = [];
  try {
    const running = start({ options, context, logger, signal: stop.signal, onFatal: fatal.reject, closers });
    // A start that is told to stop ends where it stands.
    await Promise.race([running, stopped, fatal.promise]);
    if (!stop.signal.aborted) logger.info({ listen: options.listen }, 'the master serves');
    await Promise.race([stopped, fatal.promise]);
  } finally {
    stop.abort();
    for (const close of closers.reverse())
      await close().catch(error => logger.warn({ err: error }, 'did not close cleanly'));
    release();
  }
}

interface Start {
  readonly options: MasterOptions;
  readonly context: MasterContext;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly onFatal: (error: Error) => void;
  /** What has to be closed at the end, the latest first. */
  readonly closers: (() => Promise<void>)[];
}

async function start({ options, context, logger, signal, onFatal, closers }: Start): Promise<void> {
  await refuseOtherStore(options.dataDir, { datastore: options.datastore, hasStore: hasStore(options.dataDir) });
  const setup = await setUp(options, {
    nowMs: context.clock.now(),
    delay: context.delay,
    signal,
    hasStore: hasStore(options.dataDir),
  });
  const certificates = await issueOwn(options, setup, context.clock.now());
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: EVENT_LOOP_PRECISION_MS });
  let atRest: SecretsAtRest | undefined;
  const snapshotAttachments = () => ({ ...atRest?.snapshotNote(), ...attachmentsOf(setup) });
  const store: MasterStore =
    options.datastore === undefined
      ? await openOwn({ options, context, logger, signal, onFatal, certificates, registry, setup, snapshotAttachments })
      : await openDatastore({
          datastore: options.datastore,
          name: options.name,
          clientUrl: clientUrl(options),
          authority: setup.secrets.authority.certificate,
          dataDir: options.dataDir,
          random: context.random,
          logger,
          snapshotAttachments,
        });
  closers.push(() => store.close());
  const secretsAtRest = await SecretsAtRest.open({
    dataDir: options.dataDir,
    name: options.name,
    configurationFile: options.encryptionConfigurationFile,
    store,
    credentials: {
      authority: setup.secrets.authority.certificate,
      certificate: certificates.administrator.certificate,
      key: certificates.administrator.key,
    },
    clock: context.clock,
    logger,
  });
  atRest = secretsAtRest;
  closers.push(() => secretsAtRest.close());
  const snapshots = startSnapshots({
    ...options.snapshots,
    // A store of others is theirs to save.
    ...(options.datastore !== undefined && { schedule: { type: 'off' } }),
    dataDir: options.dataDir,
    name: options.name,
    store: store.client,
    masters: () => store.membership().members.map(({ name }) => name),
    clock: context.clock,
    logger,
  });
  closers.push(async () => snapshots.stop());

  const apiServer = createApiServer({
    ...(await readAuthentication(options.authentication)),
    ...(await openAudit({ options, context, logger, closers })),
    store: secretsAtRest.client(),
    tls: {
      key: certificates.serving.key,
      cert: certificates.serving.certificate,
      ca: setup.secrets.authority.certificate,
    },
    listen: options.listen,
    clock: context.clock,
    random: context.random,
    newUid: randomUUID,
    logger,
    registry,
    liveness: store.health.live,
    readiness: store.health.ready,
    serviceCIDR: setup.settings.serviceCIDR,
    nodePortRange: NODE_PORT_RANGE,
    version: VERSION,
    kubeletClient: {
      key: certificates.kubelet.key,
      cert: certificates.kubelet.certificate,
      ca: setup.secrets.authority.certificate,
    },
    proxyClient: {
      key: certificates.frontProxy.client.key,
      cert: certificates.frontProxy.client.certificate,
    },
    serviceAccountKey: setup.secrets.serviceAccountKey,
    serviceAccountIssuer: `https://kubernetes.default.svc.${setup.settings.clusterDomain}`,
    routes: productRoutes({
      setup,
      encryptionKeys: secretsAtRest.keys,
      store,
      now: () => context.clock.now(),
      more: [...snapshots.routes, ...secretsAtRest.routes()],
    }),
  });
  closers.push(() => apiServer.close());

  const runner = new LeaderRunner(
    leaderWork({ options, setup, certificates, store, secretsAtRest, apiServer, context, logger }),
    error => {
      logger.error({ err: error }, 'the leader’s work broke off');
      onFatal(error instanceof Error ? error : new Error(String(error)));
    },
  );
  closers.push(() => runner.close());
  const unsubscribe = store.onLeadership(leadership => runner.update(leadership));
  closers.push(async () => unsubscribe());

  if (setup.isNewCluster) {
    await prepareNewCluster({ options, store, apiServer, context });
    await setup.notePrepared();
  }
  await apiServer.listen();
  await writeKubeconfig(join(options.dataDir, 'kubeconfig'), {
    server: `https://${hostPort(options.listen.host === '0.0.0.0' ? '127.0.0.1' : options.listen.host, options.listen.port)}`,
    credentials: {
      authority: setup.secrets.authority.certificate,
      certificate: certificates.administrator.certificate,
      key: certificates.administrator.key,
    },
    name: 'raftsman',
  });
  if (options.withAgent) {
    const stopAgent = await startLocalAgent({
      name: options.name,
      dataDir: options.dataDir,
      apiPort: options.listen.port,
      authority: setup.secrets.authority.certificate,
      command: context.command,
      env: context.env,
      client: new RestClient({
        transport: inProcessTransport(apiServer, MASTER),
        clock: context.clock,
        userAgent: 'raftsman-master',
      }),
      now: () => context.clock.now(),
      delay: context.delay,
      signal,
      onEnd: onFatal,
    });
    closers.push(stopAgent);
  }
}

async function readAuthentication({
  tokenFile,
  proxyAuthorityFile,
  proxyNames,
  isAnonymousRefused,
  oidc,
}: AuthenticationFlags) {
  return {
    refusesAnonymous: isAnonymousRefused,
    ...(oidc && {
      oidc: {
        ...oidc,
        ...(oidc.authorityFile !== undefined && { authority: await readFile(oidc.authorityFile, 'utf8') }),
      },
    }),
    ...(tokenFile !== undefined && { staticTokens: parseTokenFile(await readFile(tokenFile, 'utf8')) }),
    ...(proxyAuthorityFile !== undefined && {
      requestHeader: {
        ...DEFAULT_HEADERS,
        clientCa: await readFile(proxyAuthorityFile, 'utf8'),
        allowedNames: proxyNames ?? [],
      },
    }),
  };
}

const DAY_MS = 86_400_000;
const MEBIBYTE = 1024 * 1024;

/** The audit log, if there is to be one. @throws {AuditPolicyError} */
async function openAudit({
  options: { audit },
  context,
  logger,
  closers,
}: Pick<Start, 'options' | 'context' | 'logger' | 'closers'>) {
  const { policyFile, logPath, ageDaysMax, backupsMax, sizeMebibytesMax } = audit;
  if (policyFile === undefined || logPath === undefined) return {};
  const policy = await readPolicy(policyFile);
  if (logPath === '-') return { auditLog: { policy, write: (line: string) => void process.stdout.write(`${line}\n`) } };
  const log = new LogFile({
    path: logPath,
    sizeBytesMax: sizeMebibytesMax * MEBIBYTE,
    backupsMax,
    ageMsMax: ageDaysMax * DAY_MS,
    now: () => context.clock.now(),
    onError: error => logger.error({ err: error, path: logPath }, 'the audit log could not be written'),
  });
  closers.push(() => log.close());
  return { auditLog: { policy, write: (line: string) => log.write(line) } };
}

async function readPolicy(file: string) {
  try {
    return readAuditPolicy(await readFile(file, 'utf8'));
  } catch (error) {
    throw new AuditPolicyError(
      `--audit-policy-file: ${file}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

const clientUrl = ({ listen }: MasterOptions) => `https://${hostPort(advertised(listen.host), listen.port)}`;

/** This master's own member of the store that the masters keep among them. */
async function openOwn(
  parts: Pick<Start, 'options' | 'context' | 'logger' | 'signal' | 'onFatal'> & {
    readonly setup: MasterSetup;
    readonly certificates: OwnCertificates;
    readonly registry: Registry;
    readonly snapshotAttachments: () => Record<string, string>;
  },
): Promise<MasterStore> {
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

interface Parts {
  readonly options: MasterOptions;
  readonly setup: MasterSetup;
  readonly certificates: OwnCertificates;
  readonly store: MasterStore;
  readonly secretsAtRest: SecretsAtRest;
  readonly apiServer: ApiServer;
  readonly context: MasterContext;
}

/** Before anybody can ask: the first objects, and the token with which others may join. */
async function prepareNewCluster({
  options,
  store,
  apiServer,
  context,
}: Omit<Parts, 'setup' | 'certificates' | 'secretsAtRest'>): Promise<void> {
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

/** Controllers, scheduler and first objects, under one term. */
function leaderWork({
  options,
  setup,
  certificates,
  store,
  secretsAtRest,
  apiServer,
  context,
  logger,
}: Parts & { readonly logger: Logger }): LeaderWork {
  return async ({ term, signal }) => {
    logger.info({ term }, 'this master leads');
    const clientOf = (user: typeof MASTER, userAgent = user.user.replace(/^system:/, '')) =>
      new RestClient({
        transport: inProcessTransport(apiServer, user, term),
        clock: context.clock,
        // The program's name: it becomes the manager of the fields that it writes.
        userAgent,
      });
    const shared = {
      clock: context.clock,
      random: context.random,
      logger,
      signal,
      identity: `${options.name}_${term}`,
    };
    const bootstrapped = Promise.withResolvers<void>();
    const advertise = options.advertise ?? { host: advertised(options.listen.host), port: options.listen.port };
    await Promise.all([
      keepBootstrapObjects({
        server: apiServer,
        identity: { ...MASTER, fenceTerm: term },
        serviceCIDR: setup.settings.serviceCIDR,
        clientCa: setup.secrets.authority.certificate,
        frontProxyCa: certificates.frontProxy.authority,
        securePort: advertise.port,
        clock: context.clock,
        logger,
        signal,
        livingMasters: async () => livingMasters(store, options, advertise.host),
        onMade: () => bootstrapped.resolve(),
      }),
      apiServer.keepApiServices({ ...MASTER, fenceTerm: term }, signal),
      // Before the cluster has its roles, controllers may nothing.
      afterwards(bootstrapped.promise, signal, () =>
        startControllers({
          ...shared,
          client: clientOf(CONTROLLER_MANAGER),
          clientFor: account => clientOf(controllerUser(account), 'kube-controller-manager'),
          options: {
            clusterCidr: setup.settings.clusterCIDR,
            rootCa: setup.secrets.authority.certificate,
            signCertificate: ({ request, usages, expirationSeconds }) =>
              signAsRequested(setup.secrets.authority, request, {
                usages: SIGNED_USAGES.filter(usage => usages.includes(usage)),
                nowMs: context.clock.now(),
                expirationSeconds,
              }),
          },
        }),
      ),
      runScheduler({ ...shared, client: clientOf(SCHEDULER) }),
      secretsAtRest.keep(signal),
    ]);
    logger.info({ term }, 'this master leads no more');
  };
}

/** Runs `work` once `first` has happened, or not at all. */
async function afterwards(first: Promise<void>, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  const aborted = new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }));
  await Promise.race([first, aborted]);
  if (!signal.aborted) await work();
}

/** Whom the `kubernetes` Service should lead to: an address for all if one was given, else every master that is heard of. */
function livingMasters(store: MasterStore, options: MasterOptions, own: string): readonly string[] {
  if (options.advertise && !/^(127\.|::1$)/.test(own)) return [own];
  return (
    store
      .living()
      .map(member => new URL(member.clientUrl).hostname.replace(/^\[|\]$/g, ''))
      // A Service may not lead to loopback: on a machine without another address it leads nowhere.
      .filter(address => !/^(127\.|::1$)/.test(address))
  );
}
