/** Namespaces, and the limits and quotas within them. */

import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

export const NAMESPACES: TextTable = {
  prefix: CORE_V1,
  texts: {},
};
