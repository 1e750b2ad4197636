import type { FieldError } from '../status.ts';
export const serviceWarnings = (..._objects: unknown[]): string[] => [];
export const validateService = (..._objects: unknown[]): FieldError[] => [];
export const validateServiceUpdate = (..._objects: unknown[]): FieldError[] => [];
