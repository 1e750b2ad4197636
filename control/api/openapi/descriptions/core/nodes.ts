/** Nodes and what they report. */

import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

export const NODES: TextTable = {
  prefix: CORE_V1,
  texts: {},
};
