/** Events, and the standing of the components. */

import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

export const EVENTS: TextTable = {
  prefix: CORE_V1,
  texts: {},
};
