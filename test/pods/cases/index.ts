/** All cases of the suite of pods. */
import type { PodCase } from '../case.ts';
import { ends } from './ends.ts';
import { environment } from './environment.ts';
import { imageVolumes } from './image-volumes.ts';
import { order } from './order.ts';
import { probes } from './probes.ts';
import { resources } from './resources.ts';
import { security } from './security.ts';
import { volumes } from './volumes.ts';

export const allCases: readonly PodCase[] = [
  ...ends,
  ...environment,
  ...imageVolumes,
  ...order,
  ...probes,
  ...resources,
  ...security,
  ...volumes,
];
