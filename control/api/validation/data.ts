import type { FieldError } from '../status.ts';
export const secretWarnings = (..._objects: unknown[]): string[] => [];
export const validateConfigMap = (..._objects: unknown[]): FieldError[] => [];
export const validateConfigMapUpdate = (..._objects: unknown[]): FieldError[] => [];
export const validateEndpoints = (..._objects: unknown[]): FieldError[] => [];
export const validateSecret = (..._objects: unknown[]): FieldError[] => [];
export const validateSecretUpdate = (..._objects: unknown[]): FieldError[] => [];
