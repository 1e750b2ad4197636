import type { FieldError } from '../status.ts';
export const nodeWarnings = (..._objects: unknown[]): string[] => [];
export const validateNode = (..._objects: unknown[]): FieldError[] => [];
export const validateNodeUpdate = (..._objects: unknown[]): FieldError[] => [];
