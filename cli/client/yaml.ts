/** The YAML library, loaded when it is first needed: it takes longer to load than most commands need in all. */
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

export const yaml = (): typeof import('yaml') => require('yaml');
