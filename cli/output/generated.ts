/** The fields that kubectl shows, empty, in an object which it has made itself and not yet sent. */
import type { JsonObject } from '../client/api.ts';

/** The object as `--dry-run=client -o yaml` of a generator shows it. */
export function withEmptyFields(object: JsonObject): JsonObject {
  const shown = { ...object, metadata: withCreation(object.metadata) };
  switch (object.kind) {
    case 'Pod':
      return { ...shown, spec: podSpec(object.spec), status: {} };
    case 'Deployment':
      return { ...shown, spec: { strategy: {}, ...workloadSpec(object.spec) }, status: {} };
    case 'Job':
      return { ...shown, spec: workloadSpec(object.spec), status: {} };
    case 'Service':
      return { ...shown, status: { loadBalancer: {} } };
    case 'CronJob': {
      const spec = fieldsOf(object.spec);
      const jobTemplate = fieldsOf(spec.jobTemplate);
      const template = {
        ...jobTemplate,
        metadata: withCreation(jobTemplate.metadata),
        spec: workloadSpec(jobTemplate.spec),
      };
      return { ...shown, spec: { ...spec, jobTemplate: template }, status: {} };
    }
    case 'ResourceQuota':
      return { ...shown, status: {} };
    case 'Ingress':
      return { ...shown, status: { loadBalancer: {} } };
    case 'HorizontalPodAutoscaler':
      return { ...shown, status: { currentMetrics: null, desiredReplicas: 0 } };
    case 'PodDisruptionBudget':
      return {
        ...shown,
        status: { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 },
      };
    case 'Namespace':
      return { ...shown, spec: {}, status: {} };
    default:
      return shown;
  }
}

const fieldsOf = (value: unknown): JsonObject =>
  typeof value === 'object' && value !== null ? (value as JsonObject) : {};

const withCreation = (metadata: unknown): JsonObject => ({ creationTimestamp: null, ...fieldsOf(metadata) });

function workloadSpec(spec: unknown): JsonObject {
  const template = fieldsOf(fieldsOf(spec).template);
  return {
    ...fieldsOf(spec),
    template: { ...template, metadata: withCreation(template.metadata), spec: podSpec(template.spec) },
  };
}

const withResources = (container: unknown): JsonObject => ({ resources: {}, ...fieldsOf(container) });

function podSpec(spec: unknown): JsonObject {
  const { containers, initContainers, ...rest } = fieldsOf(spec);
  return {
    ...rest,
    ...(Array.isArray(initContainers) && { initContainers: initContainers.map(withResources) }),
    containers: (Array.isArray(containers) ? containers : []).map(withResources),
  };
}
