/** Volumes of storage systems that Kubernetes once brought drivers for. */

import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

export const VOLUME_DRIVERS: TextTable = {
  prefix: CORE_V1,
  texts: {},
};
