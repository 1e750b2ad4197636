import type { FieldError } from '../status.ts';
export const podWarnings = (..._objects: unknown[]): string[] => [];
export const validatePod = (..._objects: unknown[]): FieldError[] => [];
export const validatePodUpdate = (..._objects: unknown[]): FieldError[] => [];
