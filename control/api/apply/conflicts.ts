/** How a client is told that it would take what belongs to others (apimachinery pkg/util/managedfields/internal/conflict.go). */
import { ApiError } from '../status.ts';
import { type Manager, managerKey } from './managers.ts';
import { showElement } from './path-element.ts';
import type { FieldConflict } from './track.ts';

export function conflictError(conflicts: readonly FieldConflict[]): ApiError {
  const causes = conflicts.map(({ manager, path }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${showManager(manager)}`,
    field: showPath(path),
  }));
  return new ApiError('Conflict', messageOf(conflicts), { details: { causes } });
}

function messageOf(conflicts: readonly FieldConflict[]): string {
  const [first] = conflicts;
  if (conflicts.length === 1 && first) {
    return `Apply failed with 1 conflict: conflict with ${showManager(first.manager)}: ${showPath(first.path)}`;
  }
  const byManager = new Map<string, FieldConflict[]>();
  for (const conflict of conflicts) {
    const key = managerKey(conflict.manager);
    byManager.set(key, [...(byManager.get(key) ?? []), conflict]);
  }
  const groups = [...byManager.values()].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  const lines = groups.flatMap(group => [
    `conflicts with ${group[0] ? showManager(group[0].manager) : ''}:`,
    ...group.map(({ path }) => `- ${showPath(path)}`),
  ]);
  return `Apply failed with ${conflicts.length} conflicts: ${lines.join('\n')}`;
}

const nameOf = ([first]: readonly FieldConflict[]) => first?.manager.name ?? '';
const showPath = (path: readonly string[]) => path.map(showElement).join('');

function showManager({ name, operation, apiVersion, subresource }: Manager): string {
  const who = JSON.stringify(name) + (subresource === '' ? '' : ` with subresource ${JSON.stringify(subresource)}`);
  return operation === 'Update' ? `${who} using ${apiVersion}` : who;
}
