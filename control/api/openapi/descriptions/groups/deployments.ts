/** The group apps: Deployments and ReplicaSets. */
import type { TextTable } from '../texts.ts';

export const DEPLOYMENTS: TextTable = {
  prefix: 'io.k8s.api.apps.v1.',
  texts: {
    Deployment: {
      itself:
        'Deployment keeps a number of alike pods running and brings them, a few at a time, to a new template. It does so by making a ReplicaSet for each template and moving the replicas from the old to the new one.',
    },
    DeploymentSpec: {
      itself: 'DeploymentSpec says which pods a Deployment runs, how many, and how they are replaced.',
      minReadySeconds:
        'Seconds that a new pod has to be ready without a break before it counts as available. 0, the default, means at once.',
      paused:
        'True while the Deployment is halted: changes of its template start no rollout. The number of replicas may still be changed.',
      progressDeadlineSeconds:
        'Seconds that a rollout may go without progress before the condition Progressing becomes "False" with the reason ProgressDeadlineExceeded. Nothing is undone then. 600 by default, and always more than minReadySeconds; it does not run while the Deployment is paused.',
      replicas: 'How many pods are wanted; 1 by default. 0 is allowed and stops all of them.',
      revisionHistoryLimit:
        'How many old ReplicaSets without replicas are kept, so that one can go back to them; 10 by default. With 0 there is nothing to go back to.',
      selector:
        "Labels by which the Deployment knows its pods. The template's labels have to match it, and no other controller should select the same pods. It cannot be changed.",
      strategy: 'How old pods are replaced by new ones.',
      template:
        'What new pods are made from. Each change of it starts a rollout. Its restartPolicy has to be "Always", which is the default.',
    },
    DeploymentStrategy: {
      itself: 'DeploymentStrategy says how the pods of the old template make room for those of the new one.',
      rollingUpdate: 'How far a rolling update may go at once. Only with the type "RollingUpdate".',
      type: '"RollingUpdate", the default, replaces the pods bit by bit. "Recreate" ends all old pods before it makes new ones, so nothing runs in between.',
    },
    RollingUpdateDeployment: {
      itself:
        'RollingUpdateDeployment bounds a rolling update: how many pods there may be too many or too few at any moment. The two numbers cannot both be 0.',
      maxSurge:
        'How many pods there may be beyond the wanted number, as a number or in percent of it, rounded up. 25% by default.',
      maxUnavailable:
        'How many of the wanted pods may be unavailable, as a number or in percent (at most 100%), rounded down. 25% by default.',
    },
    DeploymentStatus: {
      itself: 'DeploymentStatus is what the controller last saw of a Deployment and its pods.',
      availableReplicas: 'Pods of any template that have been ready for minReadySeconds.',
      collisionCount:
        "How often the name for a new ReplicaSet was already another template's. It goes into the hash of the name, so that the next one differs.",
      conditions:
        'What holds of the Deployment: "Available" (enough pods are), "Progressing" (a rollout gets on, or is complete), "ReplicaFailure" (pods cannot be made or deleted).',
      observedGeneration:
        'The generation of the Deployment that this status is about. Smaller than metadata.generation: the last change was not seen yet.',
      readyReplicas: 'Pods of any template whose condition Ready is true.',
      replicas: 'Pods of any template that exist and are not about to go.',
      terminatingReplicas:
        'Pods that are being deleted and have not gone yet. This version of the server leaves it empty.',
      unavailableReplicas:
        'Pods that are missing for the Deployment to be fully available: either not there yet, or there and not available.',
      updatedReplicas: 'Pods that are made from the present template.',
    },
    DeploymentCondition: {
      itself: 'DeploymentCondition is one thing that holds, or does not, of a Deployment.',
      lastUpdateTime: 'When the condition was last written. For Progressing this is the last progress.',
      type: '"Available", "Progressing" or "ReplicaFailure".',
    },
    ReplicaSet: {
      itself:
        'ReplicaSet keeps a number of pods of one template running. Most are made by Deployments, which should be changed instead.',
    },
    ReplicaSetSpec: {
      itself: 'ReplicaSetSpec says which pods a ReplicaSet keeps, and how many.',
      minReadySeconds:
        'Seconds that a new pod has to be ready without a break before it counts as available. 0, the default, means at once.',
      replicas: 'How many pods are wanted; 1 by default.',
      selector:
        "Labels by which the ReplicaSet knows its pods; those without a controller that match are adopted. The template's labels have to match it. It cannot be changed.",
      template: 'What new pods are made from. A change of it leaves the pods alone that are there already.',
    },
    ReplicaSetStatus: {
      itself: 'ReplicaSetStatus is what the controller last saw of a ReplicaSet and its pods.',
      availableReplicas: 'Pods that have been ready for minReadySeconds.',
      conditions:
        'What holds of the ReplicaSet. The controller writes "ReplicaFailure" when it cannot make or delete pods.',
      fullyLabeledReplicas:
        'Pods that have all labels of the template, and not merely those that the selector asks for.',
      observedGeneration: 'The generation of the ReplicaSet that this status is about.',
      readyReplicas: 'Pods whose condition Ready is true.',
      replicas: 'Pods that exist and are not about to go.',
      terminatingReplicas:
        'Pods that are being deleted and have not gone yet. This version of the server leaves it empty.',
    },
    ReplicaSetCondition: {
      itself: 'ReplicaSetCondition is one thing that holds, or does not, of a ReplicaSet.',
      type: '"ReplicaFailure": a pod could not be made or deleted.',
    },
  },
};
