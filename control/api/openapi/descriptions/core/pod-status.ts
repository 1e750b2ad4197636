/** What is reported of pods and their containers. */

import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

export const POD_STATUS: TextTable = {
  prefix: CORE_V1,
  texts: {},
};
