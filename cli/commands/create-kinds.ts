/** `raftsman create KIND`: an object of one kind, made from flags. The list of all, and those that are made of a name alone. */
import { dataKinds } from './create-data.ts';
import { kind, onlyName, type RegisterKind } from './create-kind.ts';
import { policyKinds } from './create-policy.ts';
import { rbacKinds } from './create-rbac.ts';
import { serviceKind } from './create-service.ts';
import { tokenKind } from './create-token.ts';
import { workloadKinds } from './create-workload.ts';

const namespace = kind<object>({
  name: 'namespace',
  aliases: ['ns'],
  usage: 'NAME',
  description: 'Creates a namespace.',
  example: 'raftsman create namespace team-a',
  flags: () => undefined,
  build: words => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: onlyName(words) } }),
});

const serviceAccount = kind<object>({
  name: 'serviceaccount',
  aliases: ['sa'],
  usage: 'NAME',
  description: 'Creates a service account.',
  example: 'raftsman create serviceaccount builder',
  flags: () => undefined,
  build: words => ({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: onlyName(words) } }),
});

/** The kinds that `create` knows besides `-f`. */
export const createKinds: readonly RegisterKind[] = [
  namespace,
  serviceAccount,
  serviceKind,
  tokenKind,
  ...dataKinds,
  ...workloadKinds,
  ...policyKinds,
  ...rbacKinds,
];
