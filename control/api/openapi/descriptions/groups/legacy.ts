/** What the versions that Kubernetes dropped in 1.16 have otherwise than apps/v1, whose texts hold for the rest. */
import type { TextTable } from '../texts.ts';

const ROLLBACK_TO =
  'Revision of the template to go back to, kept as an annotation. Use kubectl rollout undo instead; apps/v1 has no such field.';
const TEMPLATE_GENERATION = 'Left from these versions: the server counts by itself, and drops what is sent.';
const SELECTOR =
  "Labels by which the pods are known. If missing, the server takes the template's. The template's labels have to match it. It cannot be changed.";

const DEPLOYMENT = 'DeploymentSpec says which pods a Deployment runs, how many, and how they are replaced.';
const DAEMON_SET = 'DaemonSetSpec says which pod each node gets, and how the pods are replaced.';
const REPLICA_SET = 'ReplicaSetSpec says which pods a ReplicaSet keeps, and how many.';

export const LEGACY: readonly TextTable[] = [
  {
    prefix: 'io.k8s.api.extensions.v1beta1.',
    texts: {
      DeploymentSpec: {
        itself: DEPLOYMENT,
        progressDeadlineSeconds:
          'Seconds that a rollout may go without progress before the condition Progressing becomes "False". By default there is no bound.',
        revisionHistoryLimit:
          'How many old ReplicaSets without replicas are kept, so that one can go back to them. By default all.',
        rollbackTo: ROLLBACK_TO,
        selector: SELECTOR,
        strategy: 'How old pods are replaced by new ones. In this version one too many and one too few, by default.',
      },
      RollbackConfig: {
        itself: 'RollbackConfig names a revision of a template.',
        revision: 'Number of the revision; 0 is the last one before the present.',
      },
      DaemonSetSpec: {
        itself: DAEMON_SET,
        selector: SELECTOR,
        templateGeneration: TEMPLATE_GENERATION,
        updateStrategy: 'How pods are brought to a changed template. In this version "OnDelete", by default.',
      },
      ReplicaSetSpec: { itself: REPLICA_SET, selector: SELECTOR },
    },
  },
  {
    prefix: 'io.k8s.api.apps.v1beta1.',
    texts: {
      DeploymentSpec: {
        itself: DEPLOYMENT,
        revisionHistoryLimit:
          'How many old ReplicaSets without replicas are kept, so that one can go back to them; 2 by default.',
        rollbackTo: ROLLBACK_TO,
        selector: SELECTOR,
      },
    },
  },
  {
    prefix: 'io.k8s.api.apps.v1beta2.',
    texts: {
      DeploymentSpec: { itself: DEPLOYMENT, rollbackTo: ROLLBACK_TO },
      DaemonSetSpec: { itself: DAEMON_SET, templateGeneration: TEMPLATE_GENERATION },
    },
  },
];
