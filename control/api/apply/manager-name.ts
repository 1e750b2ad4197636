/** Who a request writes as, where it does not say so itself. */
import { MANAGER_NAME_LENGTH_MAX } from './limits.ts';

/** The field manager of a write: `fieldManager`, or the program's name in the User-Agent. */
export function managerName(fieldManager: string, userAgent: string | undefined): string {
  if (fieldManager !== '') return fieldManager;
  const program = (userAgent ?? '').split('/')[0] ?? '';
  const printable = [...program].filter(character => !/\p{C}|[^\S ]/u.test(character)).join('');
  return printable.slice(0, MANAGER_NAME_LENGTH_MAX) || 'unknown';
}
