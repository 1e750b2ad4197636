/** Security contexts of pods and containers. */

import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

export const SECURITY: TextTable = {
  prefix: CORE_V1,
  texts: {},
};
