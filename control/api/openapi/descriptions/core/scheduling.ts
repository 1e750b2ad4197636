/** Where pods go: affinity, taints, spreading. */

import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

export const SCHEDULING: TextTable = {
  prefix: CORE_V1,
  texts: {},
};
