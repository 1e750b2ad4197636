import type { FieldError } from '../status.ts';
export const validateLease = (..._objects: unknown[]): FieldError[] => [];
export const validateLeaseUpdate = (..._objects: unknown[]): FieldError[] => [];
