/** Volumes of pods. */

import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

export const VOLUMES: TextTable = {
  prefix: CORE_V1,
  texts: {},
};
