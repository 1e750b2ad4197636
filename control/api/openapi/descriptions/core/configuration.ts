/** ConfigMaps, Secrets, service accounts, and how other objects refer to them. */

import type { TextTable } from '../texts.ts';
import { CORE_V1 } from './prefix.ts';

export const CONFIGURATION: TextTable = {
  prefix: CORE_V1,
  texts: {},
};
