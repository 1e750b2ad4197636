/** The built-in kinds, as far as kustomize asks for them. */
import * as generated from '../../control/api/generated/kinds.ts';
import type { Kind } from '../../control/api/kind.ts';

export const builtinKinds: readonly Kind[] = Object.values(generated);
