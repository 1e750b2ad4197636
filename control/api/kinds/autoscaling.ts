/** Horizontal pod autoscalers. autoscaling/v2 is the stored form; v1 is made of it (see autoscaling-v1.ts). */
import * as kinds from '../generated/kinds.ts';
import type {
  AutoscalingV2HorizontalPodAutoscaler,
  HorizontalPodAutoscaler,
  HorizontalPodAutoscalerBehavior,
  HPAScalingRules,
} from '../generated/types.ts';
import { validateAutoscaler } from '../validation/autoscaling.ts';
import { fromV2, keepStatusAnnotations, toV2 } from './autoscaling-v1.ts';
import { declare, STATUS } from './declare.ts';

const CPU_PERCENT = 80;
const PERIOD_SECONDS = 15;
const PODS_UP = 4;
const PERCENT = 100;

export const horizontalPodAutoscaler = declare(kinds.horizontalpodautoscalers, {
  subresources: [STATUS],
  defaults: defaultAutoscaler,
  validate: validateAutoscaler,
});

export const horizontalPodAutoscalerV1 = declare(kinds.autoscalingV1Horizontalpodautoscalers, {
  subresources: [STATUS],
  storedAs: {
    kind: kinds.horizontalpodautoscalers,
    toStored(object: HorizontalPodAutoscaler) {
      const stored = toV2(object);
      defaultAutoscaler(stored);
      return stored;
    },
    fromStored: stored => fromV2(stored as AutoscalingV2HorizontalPodAutoscaler),
  },
  defaults(object) {
    const { spec } = object;
    if (!spec) return;
    spec.minReplicas ??= 1;
    // Metrics of other kinds stand in an annotation; only without any is it the CPU that counts.
    if ((toV2(object).spec?.metrics ?? []).length === 0) spec.targetCPUUtilizationPercentage = CPU_PERCENT;
  },
  prepareForUpdate: keepStatusAnnotations,
  validate: object => validateAutoscaler(toV2(object)),
});

function defaultAutoscaler({ spec }: AutoscalingV2HorizontalPodAutoscaler): void {
  if (!spec) return;
  spec.minReplicas ??= 1;
  if ((spec.metrics ?? []).length === 0) {
    const target = { type: 'Utilization', averageUtilization: CPU_PERCENT };
    spec.metrics = [{ type: 'Resource', resource: { name: 'cpu', target } }];
  }
  if (spec.behavior) defaultBehavior(spec.behavior);
}

/** Both directions have rules where one of them has. */
function defaultBehavior(behavior: HorizontalPodAutoscalerBehavior): void {
  const pods = { type: 'Pods', value: PODS_UP, periodSeconds: PERIOD_SECONDS };
  const percent = { type: 'Percent', value: PERCENT, periodSeconds: PERIOD_SECONDS };
  behavior.scaleUp = withRules(behavior.scaleUp, { policies: [pods, percent], stabilizationWindowSeconds: 0 });
  behavior.scaleDown = withRules(behavior.scaleDown, { policies: [{ ...percent }] });
}

function withRules(rules: HPAScalingRules | undefined, missing: HPAScalingRules): HPAScalingRules {
  return { selectPolicy: 'Max', ...missing, ...rules };
}
