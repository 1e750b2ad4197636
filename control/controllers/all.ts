/** All controllers, and how they start and stop together. */
import type { Client } from '../client/client.ts';
import type { Clock } from '../client/clock.ts';
import type { ControllerMetrics } from '../client/controller.ts';
import { ApiEventRecorder } from '../client/events.ts';
import { Informers } from '../client/informers.ts';
import { holdLease } from '../client/lease.ts';
import type { Logger } from '../client/logger.ts';
import { admissionPolicyController } from './admission-policies.ts';
import {
  certificateApprovingController,
  certificateCleaningController,
  certificateSigningController,
} from './certificates.ts';
import { clusterRoleAggregationController } from './cluster-role-aggregation.ts';
import type { Controller, ControllerContext, ControllerOptions } from './context.ts';
import { customResourceDefinitionController } from './custom-resource-definitions.ts';
import { daemonSetController } from './daemon-set.ts';
import { deploymentController } from './deployment.ts';
import { DiscoveredKinds } from './discovered-kinds.ts';
import { disruptionController } from './disruption.ts';
import { endpointSliceController } from './endpoint-slices.ts';
import { endpointsController } from './endpoints.ts';
import { garbageCollector } from './garbage-collector.ts';
import { jobController, ttlController } from './job.ts';
import { namespaceController } from './namespace.ts';
import { nodeIpamController } from './node-ipam.ts';
import { nodeLifecycleController } from './node-lifecycle.ts';
import { podGarbageController } from './pod-garbage.ts';
import { replicaSetController } from './replica-set.ts';
import { replicationController } from './replication-controller.ts';
import { resourceQuotaController } from './resource-quota.ts';
import { rootCaController } from './root-ca.ts';
import { serviceAccountController } from './service-accounts.ts';
import { taintEvictionController } from './taint-eviction.ts';
import { tokenCleanerController } from './token-cleaner.ts';
import { claimProtectionController, volumeProtectionController } from './volume-protection.ts';

export type { ControllerOptions } from './context.ts';

export interface StartControllersOptions {
  /** Acts under the leadership term, where there is one: the transport beneath fences. */
  readonly client: Client;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly options: ControllerOptions;
  /** Who leads: this master's name, shown in the lease. */
  readonly identity: string;
  /** For the log only; what a deposed leader writes is refused by the store. */
  readonly leaderTerm?: bigint | number;
  readonly signal: AbortSignal;
  /** Shared with the scheduler of the same process, which then starts with them. */
  readonly informers?: Informers;
  readonly metrics?: ControllerMetrics;
}

/** Every controller of the cluster, in one list. */
function setUp(context: ControllerContext): Controller[] {
  const kinds = new DiscoveredKinds(context.client.transport, context.clock);
  const controllers = [
    replicaSetController(context),
    replicationController(context),
    deploymentController(context),
    daemonSetController(context),
    jobController(context),
    ttlController(context),
    endpointsController(context),
    endpointSliceController(context),
    serviceAccountController(context),
    rootCaController(context),
    clusterRoleAggregationController(context),
    certificateApprovingController(context),
    certificateSigningController(context),
    certificateCleaningController(context),
    tokenCleanerController(context),
    customResourceDefinitionController(context, kinds),
    admissionPolicyController(context),
    namespaceController(context, kinds),
    nodeLifecycleController(context),
    taintEvictionController(context),
    nodeIpamController(context),
    podGarbageController(context),
    disruptionController(context, kinds),
    resourceQuotaController(context, kinds),
    claimProtectionController(context),
    volumeProtectionController(context),
    // Last, for it shares the informers that all others have asked for.
    garbageCollector(context, kinds),
  ];
  return controllers.filter(controller => controller !== undefined);
}

/** Runs all controllers until the signal aborts; then resolves when the last has put down its work. Never rejects. */
export async function startControllers(settings: StartControllersOptions): Promise<void> {
  const { signal, logger, client, clock } = settings;
  const informers = settings.informers ?? new Informers(settings);
  const context: ControllerContext = {
    ...settings,
    informers,
    recorder: component => new ApiEventRecorder({ client, clock, logger, component }),
  };
  const controllers = setUp(context);
  informers.start(signal);
  logger.info({ term: String(settings.leaderTerm ?? ''), controllers: controllers.length }, 'controllers starting');
  const lease = holdLease({ ...settings, name: 'kube-controller-manager' }, signal);
  if (await informers.waitForSync(signal)) {
    logger.info({}, 'controllers started');
    await Promise.all(controllers.map(controller => guard(controller, logger)));
  }
  await lease;
  await informers.stopped();
}

/** A controller that throws out of its loop has a bug; the others go on. */
async function guard(controller: Controller, logger: Logger): Promise<void> {
  try {
    await controller.run();
  } catch (error) {
    logger.error({ controller: controller.name, err: error }, 'controller ended unexpectedly');
  }
}
