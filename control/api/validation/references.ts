/** References to objects of any kind. */
import type { FieldError } from '../status.ts';
import { byRule, required } from './errors.ts';
import { dns1123Subdomain, pathSegment } from './names.ts';

interface TypedReference {
  readonly apiGroup?: string | null;
  readonly kind: string;
  readonly name: string;
}

/** A word that becomes a segment of a URL's path; it must be there. */
export const validateSegment = (field: string, value: string): FieldError[] =>
  value === '' ? [required(field)] : byRule(field, value, pathSegment(value));

/** A kind, its group, and a name. */
export function validateTypedReference(reference: TypedReference | undefined, path: string): FieldError[] {
  if (!reference) return [];
  const { apiGroup, kind, name } = reference;
  return [
    ...(apiGroup ? byRule(`${path}.apiGroup`, apiGroup, dns1123Subdomain(apiGroup)) : []),
    ...validateSegment(`${path}.kind`, kind),
    ...validateSegment(`${path}.name`, name),
  ];
}
