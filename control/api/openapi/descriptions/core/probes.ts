/** Probes and lifecycle hooks of containers. */

import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

export const PROBES: TextTable = {
  prefix: CORE_V1,
  texts: {},
};
