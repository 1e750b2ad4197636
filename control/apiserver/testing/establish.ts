/** What the controller of definitions does, for servers that run without controllers: gives them their names. */
import { planNames } from '../../api/custom/names.ts';
import type { CustomResourceDefinition } from '../../api/generated/types.ts';
import type { Harness } from './harness.ts';

export const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

/** Accepts the names of all definitions, as far as they do not conflict. */
export async function establish({ call }: Pick<Harness, 'call'>): Promise<void> {
  const { body } = await call('GET', DEFINITIONS);
  const all = body.items as CustomResourceDefinition[];
  for (const [index, crd] of all.entries()) {
    const status = planNames(crd, all, '2026-01-01T00:00:00Z');
    if (!status) continue;
    const changed = { ...crd, status };
    all[index] = changed;
    await call('PUT', `${DEFINITIONS}/${crd.metadata?.name}/status`, {
      body: { apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', ...changed },
    });
  }
}
