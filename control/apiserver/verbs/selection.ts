/** Which objects a list or a watch is about: namespace, labels, fields. */
import type { KindDeclaration } from '../../api/kind.ts';
import { type FieldSelector, parseFieldSelector } from '../../api/selectors/fields.ts';
import { type LabelSelector, parseLabelSelector } from '../../api/selectors/labels.ts';
import type { CachedObject } from '../cache/cached-object.ts';
import { listPrefix } from '../keys.ts';
import { parseAs } from './representation.ts';

export interface Selection {
  /** Keys of the objects begin with it. */
  readonly prefix: string;
  readonly isSelective: boolean;
  matches(object: CachedObject): boolean;
}
