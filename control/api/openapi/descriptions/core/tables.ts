/** The tables of the core group. */
import type { TextTable } from '../texts.ts';
import { CONFIGURATION } from './configuration.ts';
import { CONTAINERS } from './containers.ts';
import { EVENTS } from './events.ts';
import { NAMESPACES } from './namespaces.ts';
import { NODES } from './nodes.ts';
import { PERSISTENT_VOLUMES } from './persistent-volumes.ts';
import { POD_STATUS } from './pod-status.ts';
import { PODS } from './pods.ts';
import { PROBES } from './probes.ts';
import { REPLICATION_CONTROLLERS } from './replication-controllers.ts';
import { SCHEDULING } from './scheduling.ts';
import { SECURITY } from './security.ts';
import { SERVICES } from './services.ts';
import { VOLUME_DRIVERS } from './volume-drivers.ts';
import { VOLUMES } from './volumes.ts';

export const CORE: readonly TextTable[] = [
  CONFIGURATION,
  CONTAINERS,
  EVENTS,
  NAMESPACES,
  NODES,
  PERSISTENT_VOLUMES,
  POD_STATUS,
  PODS,
  PROBES,
  REPLICATION_CONTROLLERS,
  SCHEDULING,
  SECURITY,
  SERVICES,
  VOLUME_DRIVERS,
  VOLUMES,
];
