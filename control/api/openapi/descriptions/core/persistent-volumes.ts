/** Persistent volumes and claims. */

import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

export const PERSISTENT_VOLUMES: TextTable = {
  prefix: CORE_V1,
  texts: {},
};
