import type { FieldError } from '../status.ts';
export const validateEndpointSlice = (..._objects: unknown[]): FieldError[] => [];
export const validateEndpointSliceUpdate = (..._objects: unknown[]): FieldError[] => [];
