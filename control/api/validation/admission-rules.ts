/** Validation of the rules by which admission webhooks and policies say what they are asked about. */
import type { RuleWithOperations } from '../generated/types.ts';
import type { FieldError } from '../status.ts';
import { invalidText, invalidValue, oneOf, required } from './errors.ts';
import { goStrings } from './go-text.ts';

const OPERATIONS = ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE'];
const SCOPES = ['*', 'Cluster', 'Namespaced'];
const ALONE = "if '*' is present, must not specify other";

/** A rule with operations, groups, versions, resources and scope (k/k:pkg/apis/admissionregistration/validation). */
export function validateAdmissionRule(rule: RuleWithOperations, path: string): FieldError[] {
  const { operations = [], apiGroups = [], apiVersions = [], resources = [], scope } = rule;
  const lonely = (field: string, list: readonly string[], what: string): FieldError[] => [
    ...(list.length === 0 ? [required(`${path}.${field}`)] : []),
    ...(list.length > 1 && list.includes('*')
      ? [invalidText(`${path}.${field}`, goStrings(list), `${ALONE} ${what}`)]
      : []),
  ];
  return [
    ...lonely('operations', operations, 'operations'),
    ...operations.flatMap((operation, index) => oneOf(`${path}.operations[${index}]`, operation, OPERATIONS)),
    ...lonely('apiGroups', apiGroups, 'API groups'),
    ...lonely('apiVersions', apiVersions, 'API versions'),
    ...apiVersions.flatMap((version, index) => (version === '' ? [required(`${path}.apiVersions[${index}]`)] : [])),
    ...validateResources(resources, `${path}.resources`),
    ...(scope === undefined ? [] : oneOf(`${path}.scope`, scope, SCOPES)),
  ];
}

/** `pods`, `pods/status`, `pods/*`, `*`, `*` with a subresource: nothing that another entry covers. */
function validateResources(resources: readonly string[], path: string): FieldError[] {
  if (resources.length === 0) return [required(path)];
  const errors: FieldError[] = [];
  const wholeResources = new Set<string>();
  const wholeSubresources = new Set<string>();
  for (const [index, text] of resources.entries()) {
    const at = `${path}[${index}]`;
    if (text === '') errors.push(required(at));
    const slash = text.indexOf('/');
    if (slash < 0) continue;
    const [resource, subresource] = [text.slice(0, slash), text.slice(slash + 1)];
    const covered = (by: string) =>
      errors.push(invalidValue(at, text, `if '${by}' is present, must not specify ${text}`));
    if (wholeResources.has(resource)) covered(`${resource}/*`);
    if (wholeSubresources.has(subresource)) covered(`*/${subresource}`);
    if (subresource === '*') wholeResources.add(resource);
    if (resource === '*') wholeSubresources.add(subresource);
  }
  if (resources.length > 1 && resources.includes('*/*')) {
    errors.push(invalidText(path, goStrings(resources), "if '*/*' is present, must not specify other resources"));
  }
  const isPlain = (text: string) => text !== '*' && text !== '' && !text.includes('/');
  if (resources.includes('*') && resources.some(isPlain)) {
    const why = "if '*' is present, must not specify other resources without subresources";
    errors.push(invalidText(path, goStrings(resources), why));
  }
  return errors;
}
