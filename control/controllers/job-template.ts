/** The pods of a Job as its template describes them. Pure. */
import { jobs as jobsKind } from '../api/generated/kinds.ts';
import type { Job, Pod } from '../api/generated/types.ts';
import { INDEX_ANNOTATION } from './job-indexes.ts';
import { INDEX_FAILURES_ANNOTATION, INDEX_IGNORED_ANNOTATION, TRACKING_FINALIZER } from './job-pods.ts';
import type { PodToCreate } from './job-scale.ts';
import { GENERATED_BASE_LENGTH_MAX } from './limits.ts';
import { controllerReference } from './owners.ts';
import { podFromTemplate } from './pods.ts';

const INDEX_VARIABLE = 'JOB_COMPLETION_INDEX';

/** In an indexed Job the pod knows its index by annotation, label, host name and environment. */
export function jobPod(job: Job, { index, failures }: PodToCreate): Pod {
  const { name = '', namespace = '' } = job.metadata ?? {};
  const reference = controllerReference(jobsKind, job);
  const pod = podFromTemplate(job.spec?.template, { name, namespace, reference });
  const metadata = { ...pod.metadata, finalizers: [...(pod.metadata?.finalizers ?? []), TRACKING_FINALIZER] };
  if (index === undefined || !pod.spec) return { ...pod, metadata };
  const variable = {
    name: INDEX_VARIABLE,
    valueFrom: { fieldRef: { fieldPath: `metadata.labels['${INDEX_ANNOTATION}']` } },
  };
  const withIndex = <T extends { env?: { name: string }[] }>(container: T): T =>
    container.env?.some(each => each.name === INDEX_VARIABLE)
      ? container
      : { ...container, env: [...(container.env ?? []), variable] };
  const suffix = `-${index}-`;
  return {
    metadata: {
      ...metadata,
      // The index stays readable where the Job's name is long.
      generateName: `${name.slice(0, GENERATED_BASE_LENGTH_MAX - suffix.length)}${suffix}`,
      labels: { ...metadata.labels, [INDEX_ANNOTATION]: String(index) },
      annotations: {
        ...metadata.annotations,
        [INDEX_ANNOTATION]: String(index),
        ...(failures && { [INDEX_FAILURES_ANNOTATION]: String(failures.failures) }),
        ...(failures && failures.ignored > 0 && { [INDEX_IGNORED_ANNOTATION]: String(failures.ignored) }),
      },
    },
    spec: {
      ...pod.spec,
      hostname: `${name}-${index}`,
      containers: pod.spec.containers.map(withIndex),
      ...(pod.spec.initContainers && { initContainers: pod.spec.initContainers.map(withIndex) }),
    },
  };
}
