/** Which Services and EndpointSlices are left to others (v1.33, kube-proxy's informers). Pure. */
import type { KubernetesObject } from '../api.ts';

/** Names another proxy, whatever it is called. */
const PROXY_NAME = 'service.kubernetes.io/service-proxy-name';
/** On a Service that has a cluster address it says that nobody is to translate that address. */
const HEADLESS = 'service.kubernetes.io/headless';

/** True if this node's proxy has to do with it. */
export function isProxied({ metadata }: KubernetesObject): boolean {
  const labels = metadata?.labels;
  return labels?.[PROXY_NAME] === undefined && labels?.[HEADLESS] === undefined;
}
