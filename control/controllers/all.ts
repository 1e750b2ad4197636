/** All controllers, and how they start and stop together. */
import type { Client } from '../client/client.ts';
import type { Clock } from '../client/clock.ts';
import type { ControllerMetrics } from '../client/controller.ts';
import { ApiEventRecorder } from '../client/events.ts';
import { Informers } from '../client/informers.ts';
import { holdLease } from '../client/lease.ts';
import type { Logger } from '../client/logger.ts';
import { admissionPolicyController } from './admission-policies.ts';
import { attachDetachController } from './attach-detach.ts';
import {
  certificateApprovingController,
  certificateCleaningController,
  certificateSigningController,
} from './certificates.ts';
import { clusterRoleAggregationController } from './cluster-role-aggregation.ts';
import type { Controller, ControllerContext, ControllerOptions } from './context.ts';
import { cronJobController } from './cron-job.ts';
import { customResourceDefinitionController } from './custom-resource-definitions.ts';
import { daemonSetController } from './daemon-set.ts';
import { deploymentController } from './deployment.ts';
import { DiscoveredKinds } from './discovered-kinds.ts';
import { disruptionController } from './disruption.ts';
import { endpointSliceMirroringController } from './endpoint-slice-mirroring.ts';
import { endpointSliceController } from './endpoint-slices.ts';
import { endpointsController } from './endpoints.ts';
import { ephemeralVolumeController } from './ephemeral-volumes.ts';
import { flowSchemaController } from './flow-schemas.ts';
import { garbageCollector } from './garbage-collector.ts';
import { horizontalPodAutoscalerController } from './horizontal-pod-autoscaler.ts';
import { ingressController } from './ingress.ts';
import { jobController } from './job.ts';
import { jobTrackingController } from './job-tracking.ts';
import { ttlController } from './job-ttl.ts';
import { legacyTokenController } from './legacy-tokens.ts';
import { loadBalancerController } from './load-balancer.ts';
import { localVolumeController } from './local-volumes.ts';
import { namespaceController } from './namespace.ts';
import { nodeIpamController } from './node-ipam.ts';
import { nodeLifecycleController } from './node-lifecycle.ts';
import { nodeTtlController } from './node-ttl.ts';
import { persistentVolumeController } from './persistent-volumes.ts';
import { podGarbageController } from './pod-garbage.ts';
import { replicaSetController } from './replica-set.ts';
import { replicationController } from './replication-controller.ts';
import { resourceQuotaController } from './resource-quota.ts';
import { rootCaController } from './root-ca.ts';
import { serviceAccountSecretController } from './service-account-secrets.ts';
import { serviceAccountController } from './service-accounts.ts';
import { serviceAddressController } from './service-addresses.ts';
import { serviceRangeController } from './service-cidrs.ts';
import { statefulSetController } from './stateful-set.ts';
import { taintEvictionController } from './taint-eviction.ts';
import { tokenCleanerController } from './token-cleaner.ts';
import { volumeExpansionController } from './volume-expansion.ts';
import { claimProtectionController, volumeProtectionController } from './volume-protection.ts';

export type { ControllerOptions } from './context.ts';

export interface StartControllersOptions {
  /** Acts under the leadership term, where there is one: the transport beneath fences. */
  readonly client: Client;
  /** The client of a controller's service account in kube-system; `client` for all where there are none. */
  readonly clientFor?: (account: string) => Client;
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

/** Every controller of the cluster, in one list, each under the service account of kube-system whose roles it has. */
function setUp(manager: ControllerContext, as: (account: string) => ControllerContext): Controller[] {
  const kinds = new DiscoveredKinds(manager.client.transport, manager.clock);
  const controllers = [
    replicaSetController(as('replicaset-controller')),
    replicationController(as('replication-controller')),
    deploymentController(as('deployment-controller')),
    statefulSetController(as('statefulset-controller')),
    daemonSetController(as('daemon-set-controller')),
    jobController(as('job-controller')),
    jobTrackingController(as('job-controller')),
    ttlController(as('ttl-after-finished-controller')),
    cronJobController(as('cronjob-controller')),
    horizontalPodAutoscalerController(as('horizontal-pod-autoscaler'), kinds),
    endpointsController(as('endpoint-controller')),
    endpointSliceController(as('endpointslice-controller')),
    endpointSliceMirroringController(as('endpointslicemirroring-controller')),
    serviceRangeController(as('service-cidrs-controller')),
    serviceAddressController(as('service-address-repair-controller')),
    loadBalancerController(as('service-controller')),
    ingressController(as('ingress-controller')),
    serviceAccountController(as('service-account-controller')),
    rootCaController(as('root-ca-cert-publisher')),
    clusterRoleAggregationController(as('clusterrole-aggregation-controller')),
    certificateApprovingController(as('certificate-controller')),
    certificateSigningController(as('certificate-controller')),
    certificateCleaningController(as('certificate-controller')),
    tokenCleanerController(as('token-cleaner')),
    legacyTokenController(as('legacy-service-account-token-cleaner')),
    // What the manager of all controllers does itself, in Kubernetes too.
    serviceAccountSecretController(manager),
    customResourceDefinitionController(as('custom-resource-definition-controller'), kinds),
    admissionPolicyController(as('validatingadmissionpolicy-status-controller')),
    flowSchemaController(as('flow-schema-controller')),
    namespaceController(as('namespace-controller'), kinds),
    nodeLifecycleController(as('node-controller')),
    taintEvictionController(as('node-controller')),
    nodeIpamController(as('node-controller')),
    nodeTtlController(as('ttl-controller')),
    podGarbageController(as('pod-garbage-collector')),
    disruptionController(as('disruption-controller'), kinds),
    resourceQuotaController(as('resourcequota-controller'), kinds),
    persistentVolumeController(as('persistent-volume-binder')),
    ephemeralVolumeController(as('ephemeral-volume-controller')),
    attachDetachController(as('attachdetach-controller')),
    volumeExpansionController(as('expand-controller')),
    localVolumeController(as('local-volume-provisioner')),
    claimProtectionController(as('pvc-protection-controller')),
    volumeProtectionController(as('pv-protection-controller')),
    // Last, for it shares the informers that all others have asked for.
    garbageCollector(as('generic-garbage-collector'), kinds),
  ];
  return controllers.filter(controller => controller !== undefined);
}

/** Runs all controllers until the signal aborts; then resolves when the last has put down its work. Never rejects. */
export async function startControllers(settings: StartControllersOptions): Promise<void> {
  const { signal, logger, client, clock } = settings;
  const informers = settings.informers ?? new Informers(settings);
  const contextOf = (own: Client): ControllerContext => ({
    ...settings,
    client: own,
    reader: client,
    // All see the same state, read once.
    informers,
    recorder: component => new ApiEventRecorder({ client: own, clock, logger, component }),
  });
  const { clientFor } = settings;
  const controllers = setUp(contextOf(client), account => contextOf(clientFor?.(account) ?? client));
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
