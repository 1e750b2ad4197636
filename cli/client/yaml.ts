/** The YAML library, loaded when it is first needed: it takes longer to load than most commands need in all. */
import { createRequire } from 'node:module';
import type { DocumentOptions, ParseOptions, SchemaOptions } from 'yaml';

const require = createRequire(import.meta.url);

export const yaml = (): typeof import('yaml') => require('yaml');

/** How `-f` is read: YAML 1.1, as Go's parser has it: `yes` is true. */
export const manifestYaml: DocumentOptions & ParseOptions & SchemaOptions = {
  version: '1.1',
  merge: true,
  uniqueKeys: false,
};

/** How kustomizations and their files are read: numbers as in YAML 1.1 (0644 is octal), but `yes`, `on` and dates are text. */
export const kustomizeYaml: DocumentOptions & ParseOptions & SchemaOptions = {
  version: '1.1',
  merge: true,
  customTags: tags => [
    'bool',
    'intOct',
    ...tags.filter(tag => {
      if (typeof tag === 'string') return true;
      return !/:(?:bool|timestamp)$/.test(tag.tag) && tag.format !== 'TIME';
    }),
  ],
};
