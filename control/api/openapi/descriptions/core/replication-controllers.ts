/** Replication controllers. */

import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

export const REPLICATION_CONTROLLERS: TextTable = {
  prefix: CORE_V1,
  texts: {},
};
