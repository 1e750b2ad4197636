import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Logger, pino } from 'pino';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { keepBootstrapObjects } from './apiserver/bootstrap.ts';
import { type ApiServer, createApiServer } from './apiserver/server.ts';
import { RestClient } from './client/rest.ts';
import { MASTER } from './leader/accounts.ts';
import { advertised, clientUrl, hostPort, livingMasters } from './master/addresses.ts';
import { openAudit } from './master/audit-log.ts';
import { readAuthentication } from './master/authentication-files.ts';
import { issueOwn, type OwnCertificates } from './master/certificates.ts';
import { type MasterStore, openDatastore, refuseOtherStore } from './master/datastore.ts';
import { prepareNewCluster } from './master/first-start.ts';
import { LeaderFigures, runLeaderThread } from './master/leader-thread.ts';
import { inProcessTransport, LeaderRunner, type LeaderWork } from './master/leadership.ts';
import { startLocalAgent } from './master/local-agent.ts';
import type { MasterContext, MasterOptions } from './master/options.ts';
import { openOwn } from './master/own-store.ts';
import { SecretsAtRest } from './master/secrets-at-rest.ts';
import { attachmentsOf, type MasterSetup, setUp } from './master/setup.ts';
import { describeEnd } from './operations/end.ts';
import { hasStore } from './operations/open-store.ts';
import { productRoutes } from './operations/product-routes.ts';
import { refuseIfInterrupted } from './operations/recover.ts';
import { refuseIfRemoved } from './operations/removed.ts';
import { startSnapshots } from './operations/snapshots.ts';
import { writeKubeconfig } from './pki/kubeconfig.ts';

export type { AuditFlags, AuthenticationFlags, MasterContext, MasterOptions } from './master/options.ts';

/** The Kubernetes version whose behaviour is served. */
const VERSION = {
  major: '1',
  minor: '33',
  emulationMajor: '1',
  emulationMinor: '33',
  minCompatibilityMajor: '1',
  minCompatibilityMinor: '32',
  gitVersion: 'v1.33.1+raftsman',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: process.version,
  compiler: 'v8',
  platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
} as const;
const NODE_PORT_RANGE = '30000-32767';
/** Where nodes listen, unless they are told otherwise. */
const AGENT_PORT = 10_250;
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
  const schedulerConfiguration = await readSchedulerConfiguration(options.schedulerConfigurationFile, logger);
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

  const figures = new LeaderFigures(context.clock);
  const apiServer = createApiServer({
    moreMetrics: () => figures.text(),
    ...(await readAuthentication({
      flags: options.authentication,
      ownIssuer: issuerOf(setup),
      clock: context.clock,
      logger,
      closers,
    })),
    ...(await openAudit({
      flags: options.audit,
      clock: context.clock,
      logger,
      toStandardOutput: line => void process.stdout.write(`${line}\n`),
      closers,
    })),
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
    tolerations: options.failover.tolerations,
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
    serviceAccountIssuer: issuerOf(setup),
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
    leaderWork({
      options,
      setup,
      certificates,
      store,
      secretsAtRest,
      apiServer,
      schedulerConfiguration,
      context,
      logger,
      figures,
    }),
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
      flags: options.agentFlags,
      leaseDurationSeconds: options.failover.leaseDurationSeconds,
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

/** The file's text, once it is known that the scheduler can follow it. */
async function readSchedulerConfiguration(file: string | undefined, logger: Logger): Promise<string | undefined> {
  if (file === undefined) return undefined;
  // The scheduler itself is the leader thread's.
  const { parseSchedulerConfiguration, SchedulerConfigurationError } = await import('./scheduler/configuration.ts');
  try {
    const text = await readFile(file, 'utf8');
    for (const remark of parseSchedulerConfiguration(text).remarks) logger.warn({ file }, remark);
    return text;
  } catch (error) {
    throw new SchedulerConfigurationError(
      `--scheduler-config: ${file}: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
}

const issuerOf = ({ settings }: MasterSetup) => `https://kubernetes.default.svc.${settings.clusterDomain}`;
interface Parts {
  readonly options: MasterOptions;
  readonly setup: MasterSetup;
  readonly certificates: OwnCertificates;
  readonly store: MasterStore;
  readonly secretsAtRest: SecretsAtRest;
  readonly apiServer: ApiServer;
  readonly context: MasterContext;
}

interface LeaderParts extends Parts {
  /** The text of the file; undefined for the defaults. */
  readonly schedulerConfiguration: string | undefined;
  readonly logger: Logger;
  readonly figures: LeaderFigures;
}

/** First objects, then controllers and scheduler, under one term. */
function leaderWork({
  options,
  setup,
  certificates,
  store,
  secretsAtRest,
  apiServer,
  schedulerConfiguration,
  context,
  logger,
  figures,
}: LeaderParts): LeaderWork {
  return async ({ term, signal }) => {
    logger.info({ term }, 'this master leads');
    const bootstrapped = Promise.withResolvers<void>();
    const advertise = options.advertise ?? { host: advertised(options.listen.host), port: options.listen.port };
    const identity = { ...MASTER, fenceTerm: term };
    await Promise.all([
      keepBootstrapObjects({
        server: apiServer,
        identity,
        serviceCIDR: setup.settings.serviceCIDR,
        clientCa: setup.secrets.authority.certificate,
        frontProxyCa: certificates.frontProxy.authority,
        securePort: advertise.port,
        servesDns: true,
        clock: context.clock,
        logger,
        signal,
        livingMasters: async () => livingMasters(store, options, advertise.host),
        onMade: () => bootstrapped.resolve(),
      }),
      apiServer.keepApiServices(identity, signal),
      runLeaderThread({
        order: {
          term,
          identity: `${options.name}_${term}`,
          master: options.name,
          logLevel: logger.level,
          schedulerConfiguration,
          controllers: {
            clusterCidr: setup.settings.clusterCIDR,
            reservedPorts: [options.listen.port, options.peerListen.port, advertise.port, AGENT_PORT],
            balancesServices: options.balancesServices,
            routesIngresses: options.routesIngresses,
            nodeHealth: options.failover.nodeHealth,
            legacyTokenUnusedMs: options.authentication.legacyTokenUnusedMs,
          },
          signing: {
            authority: setup.secrets.authority,
            serviceAccountKey: setup.secrets.serviceAccountKey,
            issuer: issuerOf(setup),
          },
        },
        apiServer,
        ready: bootstrapped.promise,
        signal,
        clock: context.clock,
        defer: call => void setImmediate(call),
        figures,
      }),
      secretsAtRest.keep(signal),
    ]);
    logger.info({ term }, 'this master leads no more');
  };
}
