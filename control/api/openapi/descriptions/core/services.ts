/** Services and endpoints. */

import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

export const SERVICES: TextTable = {
  prefix: CORE_V1,
  texts: {},
};
