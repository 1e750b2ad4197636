/** What always holds, whether the objects are there or not: administrators are never held up, and everybody falls somewhere. */
import type { FlowSchema, PriorityLevelConfiguration } from '../../api/generated/types.ts';
import { FIRST_LEVELS, FIRST_SCHEMAS } from '../bootstrap-objects.ts';

const NAMES = new Set(['exempt', 'catch-all']);
const isMandatory = ({ metadata }: { readonly metadata?: { readonly name?: string } }) =>
  NAMES.has(metadata?.name ?? '');

export const MANDATORY_LEVELS: readonly PriorityLevelConfiguration[] = FIRST_LEVELS.filter(isMandatory);
export const MANDATORY_SCHEMAS: readonly FlowSchema[] = FIRST_SCHEMAS.filter(isMandatory);

/** The objects, with the mandatory ones among them. */
export function withMandatory<T extends { readonly metadata?: { readonly name?: string } }>(
  objects: readonly T[],
  mandatory: readonly T[],
): readonly T[] {
  const names = new Set(objects.map(({ metadata }) => metadata?.name));
  return [...objects, ...mandatory.filter(({ metadata }) => !names.has(metadata?.name))];
}
