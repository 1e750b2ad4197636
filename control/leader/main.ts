/**
 * The thread of a leader: scheduler and controllers, beside the thread of the API server, for as long as a leadership lasts.
 * They reach the API server through a message port, and cannot tell.
 */
import { randomUUID } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parentPort, workerData } from 'node:worker_threads';
import { pino } from 'pino';
import { ServiceAccountTokens } from '../apiserver/auth/service-account-tokens.ts';
import { collectWhenIdle } from '../client/idle-collection.ts';
import { ownProcess } from '../client/idle-process.ts';
import { Informers } from '../client/informers.ts';
import { RestClient } from '../client/rest.ts';
import { systemClock as clock } from '../client/system-clock.ts';
import { startControllers } from '../controllers/all.ts';
import { SIGNED_USAGES, signAsRequested } from '../pki/signing.ts';
import { DEFAULT_CONFIGURATION, parseSchedulerConfiguration } from '../scheduler/configuration.ts';
import { runScheduler } from '../scheduler/scheduler.ts';
import { CONTROLLER_MANAGER, controllerUser, type InternalUser, SCHEDULER } from './accounts.ts';
import { leaderMetrics } from './metrics.ts';
import type { LeaderOrder, LeaderWord } from './order.ts';
import { PortTransport } from './port-transport.ts';

/** How finely the event loop's lag is measured. */
const LOOP_DELAY_RESOLUTION_MS = 20;

const order = workerData as LeaderOrder;
const begun = Promise.withResolvers<void>();
const stop = new AbortController();
const loopDelay = monitorEventLoopDelay({ resolution: LOOP_DELAY_RESOLUTION_MS });
loopDelay.enable();
const metrics = leaderMetrics({
  heapBytes: () => process.memoryUsage().heapUsed,
  loopDelayMs: () => {
    // It measures from tick to tick.
    const delayMs = loopDelay.percentile(99) / 1e6 - LOOP_DELAY_RESOLUTION_MS;
    loopDelay.reset();
    return Math.max(0, delayMs);
  },
});
parentPort?.on('message', (word: LeaderWord) => {
  if (word === 'metrics') {
    void metrics.text().then(text => parentPort?.postMessage(text));
    return;
  }
  if (word === 'stop') stop.abort();
  begun.resolve();
});
const api = new PortTransport({ port: order.port, defer: call => void setImmediate(call) });
const logger = pino(
  { level: order.logLevel, base: { master: order.master } },
  pino.destination({ dest: 2, sync: true }),
);
const idle = collectWhenIdle(ownProcess);

await begun.promise;
if (!stop.signal.aborted) await lead(order, stop.signal);
idle[Symbol.dispose]();
// What still holds the thread (a timer that nobody cancelled) is of no use any more.
process.exit(0);

async function lead({ identity, schedulerConfiguration, controllers, signing }: LeaderOrder, signal: AbortSignal) {
  const clientOf = ({ user }: InternalUser, userAgent: string) =>
    new RestClient({ transport: api.transportFor(user), clock, userAgent });
  const shared = { clock, random: Math.random, logger, signal, identity };
  const manager = clientOf(CONTROLLER_MANAGER, 'kube-controller-manager');
  // The scheduler and the controllers look at the same objects: each is read, and held, once. They begin with the controllers.
  const informers = new Informers({ ...shared, client: manager, freezes: false });
  const tokens = new ServiceAccountTokens({
    key: signing.serviceAccountKey,
    issuer: signing.issuer,
    clock,
    newUid: randomUUID,
  });
  await Promise.all([
    startControllers({
      ...shared,
      metrics: metrics.controllers,
      informers,
      client: manager,
      // The program's name: it becomes the manager of the fields that it writes.
      clientFor: account => clientOf(controllerUser(account), 'kube-controller-manager'),
      options: {
        ...controllers,
        // As Kubernetes has it, schedules without a zone of their own are in this machine's.
        timeZone: new Intl.DateTimeFormat().resolvedOptions().timeZone,
        rootCa: signing.authority.certificate,
        signSecretToken: subject => tokens.signForSecret(subject),
        signCertificate: ({ request, usages, expirationSeconds }) =>
          signAsRequested(signing.authority, request, {
            usages: SIGNED_USAGES.filter(usage => usages.includes(usage)),
            nowMs: clock.now(),
            expirationSeconds,
          }),
      },
    }),
    runScheduler({
      ...shared,
      metrics: metrics.scheduler,
      informers,
      client: clientOf(SCHEDULER, 'kube-scheduler'),
      configuration:
        schedulerConfiguration === undefined
          ? DEFAULT_CONFIGURATION
          : parseSchedulerConfiguration(schedulerConfiguration),
    }),
  ]);
}
