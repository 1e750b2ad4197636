/** Validation of leases. */
import type { Lease } from '../generated/types.ts';
import type { FieldError } from '../status.ts';
import { invalidValue, notNegative } from './errors.ts';

export function validateLease({ spec }: Lease): FieldError[] {
  const seconds = spec?.leaseDurationSeconds;
  return [
    ...(seconds !== undefined && seconds <= 0
      ? [invalidValue('spec.leaseDurationSeconds', seconds, 'must be greater than 0')]
      : []),
    ...notNegative('spec.leaseTransitions', spec?.leaseTransitions),
  ];
}
