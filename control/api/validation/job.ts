import type { FieldError } from '../status.ts';
export const jobWarnings = (..._objects: unknown[]): string[] => [];
export const validateJob = (..._objects: unknown[]): FieldError[] => [];
export const validateJobUpdate = (..._objects: unknown[]): FieldError[] => [];
