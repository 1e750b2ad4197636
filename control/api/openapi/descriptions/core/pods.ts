/** Pods: what is wanted of them. */

import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

export const PODS: TextTable = {
  prefix: CORE_V1,
  texts: {},
};
