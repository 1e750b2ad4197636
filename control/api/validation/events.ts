import type { FieldError } from '../status.ts';
export const validateEvent = (..._objects: unknown[]): FieldError[] => [];
export const validateEventsV1Event = (..._objects: unknown[]): FieldError[] => [];
