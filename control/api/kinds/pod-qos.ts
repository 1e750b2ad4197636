/** The quality-of-service class of a pod (Kubernetes' pkg/apis/core/v1/helper/qos). */
import type { PodSpec } from '../generated/types.ts';
import { compareQuantities, parseQuantity } from '../schema/quantity.ts';

const COMPUTE = ['cpu', 'memory'] as const;

/** `Guaranteed` if every container limits CPU and memory and asks for just that, `BestEffort` if none asks for any. */
export function qosClassOf(spec: PodSpec | undefined): string {
  const containers = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])];
  let isAnySet = false;
  let isGuaranteed = true;
  for (const { resources } of containers) {
    for (const name of COMPUTE) {
      const limit = positive(resources?.limits?.[name]);
      const request = positive(resources?.requests?.[name]);
      if (limit || request) isAnySet = true;
      if (!limit || (request && compareQuantities(limit, request) !== 0)) isGuaranteed = false;
    }
  }
  if (!isAnySet) return 'BestEffort';
  return isGuaranteed ? 'Guaranteed' : 'Burstable';
}

function positive(text: string | number | undefined) {
  if (text === undefined) return undefined;
  const quantity = parseQuantity(String(text));
  return quantity.unscaled > 0n ? quantity : undefined;
}
