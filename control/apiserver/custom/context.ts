/** What custom resources need of the rest of the server: how versions are converted, and how rules in CEL are judged. */
import type { CustomContext } from '../../api/custom/declaration.ts';
import type { KubernetesObject } from '../../api/kind.ts';

export const customContext: CustomContext = {
  convert: renamed,
  compileRules: () => undefined,
};

/** Versions of the strategy `None` differ in nothing but their names. */
function renamed(object: KubernetesObject, toVersion: string): KubernetesObject {
  const { apiVersion = '' } = object;
  object.apiVersion = `${apiVersion.slice(0, apiVersion.indexOf('/'))}/${toVersion}`;
  return object;
}
