/** Containers: what they run, with which environment, resources and mounts. */

import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

export const CONTAINERS: TextTable = {
  prefix: CORE_V1,
  texts: {},
};
