/** The tables of all groups but the core. */
import type { TextTable } from '../texts.ts';
import { ADMISSION_POLICIES } from './admission-policies.ts';
import { ADMISSION_WEBHOOKS } from './admission-webhooks.ts';
import { API_SERVICES } from './api-services.ts';
import { AUTHENTICATION } from './authentication.ts';
import { AUTHORIZATION } from './authorization.ts';
import { AUTOSCALING_V1, AUTOSCALING_V2 } from './autoscaling.ts';
import { CERTIFICATES } from './certificates.ts';
import { CSI_DRIVERS } from './csi-drivers.ts';
import { CUSTOM_RESOURCES } from './custom-resources.ts';
import { CUSTOM_SCHEMAS } from './custom-schemas.ts';
import { DAEMON_SETS } from './daemon-sets.ts';
import { DEPLOYMENTS } from './deployments.ts';
import { ENDPOINT_SLICES } from './endpoint-slices.ts';
import { EVENTS_V1, LEASES } from './events-and-leases.ts';
import { FLOW_CONTROL } from './flow-control.ts';
import { INGRESSES } from './ingresses.ts';
import { JOBS } from './jobs.ts';
import { LEGACY } from './legacy.ts';
import { NETWORKS } from './networks.ts';
import { POLICY, PRIORITY_CLASSES, RUNTIME_CLASSES } from './policies.ts';
import { RBAC } from './rbac.ts';
import { STATEFUL_SETS } from './stateful-sets.ts';
import { STORAGE_CLASSES } from './storage-classes.ts';

export const GROUPS: readonly TextTable[] = [
  ADMISSION_POLICIES,
  ADMISSION_WEBHOOKS,
  API_SERVICES,
  AUTHENTICATION,
  AUTHORIZATION,
  AUTOSCALING_V1,
  AUTOSCALING_V2,
  CERTIFICATES,
  CSI_DRIVERS,
  CUSTOM_RESOURCES,
  CUSTOM_SCHEMAS,
  DAEMON_SETS,
  DEPLOYMENTS,
  ENDPOINT_SLICES,
  EVENTS_V1,
  FLOW_CONTROL,
  INGRESSES,
  JOBS,
  LEASES,
  ...LEGACY,
  NETWORKS,
  POLICY,
  PRIORITY_CLASSES,
  RBAC,
  RUNTIME_CLASSES,
  STATEFUL_SETS,
  STORAGE_CLASSES,
];
