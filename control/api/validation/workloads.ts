import type { FieldError } from '../status.ts';
export const validateDaemonSet = (..._objects: unknown[]): FieldError[] => [];
export const validateDaemonSetUpdate = (..._objects: unknown[]): FieldError[] => [];
export const validateDeployment = (..._objects: unknown[]): FieldError[] => [];
export const validateDeploymentUpdate = (..._objects: unknown[]): FieldError[] => [];
export const validateReplicaSet = (..._objects: unknown[]): FieldError[] => [];
export const validateReplicaSetUpdate = (..._objects: unknown[]): FieldError[] => [];
export const validateReplicationController = (..._objects: unknown[]): FieldError[] => [];
export const workloadWarnings = (..._objects: unknown[]): string[] => [];
