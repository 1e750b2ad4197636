/** Says in a ConfigMap since when uses of tokens in Secrets are written down, so that nobody takes silence from before for disuse. */
import { configmaps as configMapKind } from '../api/generated/kinds.ts';
import type { ConfigMap } from '../api/generated/types.ts';
import { dayOf, startOfDay, TRACKING_CONFIG_MAP, TRACKING_SINCE } from '../api/legacy-tokens.ts';
import { type BootstrapCaller, call, ensure, pathOf, read } from './bootstrap-call.ts';

/** Makes it if it is missing, and mends it if it names no day; in both cases tracking begins today. Throws ApiError. */
export async function keepTokenTracking(caller: BootstrapCaller, nowMs: number): Promise<void> {
  const wanted: ConfigMap = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: TRACKING_CONFIG_MAP, namespace: 'kube-system' },
    data: { [TRACKING_SINCE]: dayOf(nowMs) },
  };
  const present: ConfigMap | undefined = await read(caller, configMapKind, wanted);
  if (!present) return ensure(caller, configMapKind, wanted);
  if (startOfDay(present.data?.[TRACKING_SINCE]) !== undefined) return;
  const body = { ...present, data: { ...present.data, ...wanted.data } };
  await call(caller, { method: 'PUT', path: pathOf(configMapKind, wanted), body });
}
