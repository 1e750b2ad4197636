/** The group batch: Jobs and CronJobs. */
import type { TextTable } from '../texts.ts';

export const JOBS: TextTable = {
  prefix: 'io.k8s.api.batch.v1.',
  texts: {
    Job: {
      itself:
        'Job runs pods until a number of them has ended well, and makes new ones for those that failed. A Job that has finished stays, with its pods, until it is deleted or its time is over.',
    },
    JobSpec: {
      itself: 'JobSpec says what a Job runs, how often it has to succeed and when it gives up.',
      activeDeadlineSeconds:
        'Seconds from startTime after which a Job that is still active is failed and its pods are ended. Without it there is no such bound. A suspended Job has its time started over when it resumes.',
      backoffLimit:
        'How many failures of pods are made good before the Job fails; 6 by default, 2147483647 where backoffLimitPerIndex is given. Each retry waits longer: 10 s, doubled up to 10 minutes.',
      backoffLimitPerIndex:
        'How many failures of one index are made good before that index fails; the others go on. Only for indexed Jobs whose pods have restartPolicy "Never". It cannot be changed.',
      completionMode:
        'When a Job is complete. "NonIndexed", the default: after as many successes as completions says. "Indexed": once each index from 0 to completions - 1 has succeeded; a pod finds its index in JOB_COMPLETION_INDEX. It cannot be changed.',
      completions:
        'How many pods have to succeed. If it is missing, the success of any pod is the success of the Job. If parallelism is missing too, it is 1. Of an indexed Job it may be changed together with parallelism, to the same number.',
      managedBy:
        'Which controller takes care of the Job, as a domain and a path, up to 63 characters. If missing or "kubernetes.io/job-controller", it is the built-in one; it leaves Jobs of others alone. It cannot be changed.',
      manualSelector:
        "True if selector and labels of the pods are chosen by you, who see to it that no other Job has the same. False, the default, lets the server make them from the Job's UID.",
      maxFailedIndexes:
        'How many indexes may fail before the whole Job is given up. Without it all indexes are run to their end. Only with backoffLimitPerIndex; at most completions, and 100000. With more than 100000 completions it has to be given, up to 10000.',
      parallelism:
        'How many pods run at the same time at most; 1 by default. Fewer run when fewer successes are missing. 0 halts the Job. For indexed Jobs at most 100000.',
      podFailurePolicy:
        'What a failed pod means, told apart by exit codes and conditions. Without it every failure counts against backoffLimit. The pods need restartPolicy "Never". It cannot be changed.',
      podReplacementPolicy:
        'When a pod is replaced: "TerminatingOrFailed" as soon as it is being deleted or has failed, "Failed" only once it has ended. The former is the default, the latter with podFailurePolicy, where it is the only choice.',
      selector:
        "Labels by which the Job knows its pods. Usually the server fills it in, with the Job's UID. It cannot be changed.",
      successPolicy:
        'When an indexed Job counts as successful before all of its indexes are. Without it all have to succeed. It cannot be changed.',
      suspend:
        'True halts the Job: it makes no pods and ends those that run. False, the default, starts it or lets it go on.',
      template:
        'What the pods are made from. Their restartPolicy has to be "Never" or "OnFailure". It cannot be changed, but for labels, annotations and where the pods may run, while the Job is suspended and was not started.',
      ttlSecondsAfterFinished:
        'Seconds after its end after which the Job is deleted along with its pods. 0 deletes it at once; without it the Job stays.',
    },
    PodFailurePolicy: {
      itself: 'PodFailurePolicy says what to do about a failed pod, by how it failed.',
      rules:
        'Tried in order; the first that fits decides, and where none fits the failure counts against backoffLimit. At most 20.',
    },
    PodFailurePolicyRule: {
      itself:
        'PodFailurePolicyRule fits some failures and says what follows. It has either onExitCodes or onPodConditions.',
      action:
        'What follows: "FailJob" gives up the whole Job, "FailIndex" the index of the pod (with backoffLimitPerIndex), "Ignore" makes a new pod and does not count the failure, "Count" counts it as usual.',
      onExitCodes: 'Which exit codes of containers the rule fits.',
      onPodConditions: 'Which conditions of the pod the rule fits: one of them is enough. At most 20.',
    },
    PodFailurePolicyOnExitCodesRequirement: {
      itself:
        'PodFailurePolicyOnExitCodesRequirement fits pods by the exit codes of their containers, init containers included.',
      containerName:
        'Only this container is looked at; it has to be one of the template. If missing, every container is.',
      operator:
        '"In" fits if a container that failed ended with one of the values; "NotIn" fits if one did with none of them. An exit with 0 never fits.',
      values: 'Exit codes, each once, in order; 1 to 255 of them. With "In" none may be 0.',
    },
    PodFailurePolicyOnPodConditionsPattern: {
      itself: 'PodFailurePolicyOnPodConditionsPattern fits pods that have a condition.',
      status: 'Status that the condition must have: "True", the default, "False" or "Unknown".',
      type: 'Type that the condition must have, such as DisruptionTarget.',
    },
    SuccessPolicy: {
      itself: 'SuccessPolicy says when an indexed Job has succeeded, though not all of its indexes have.',
      rules: 'One that holds is enough: the Job succeeds, and the pods that still run are ended. 1 to 20.',
    },
    SuccessPolicyRule: {
      itself: 'SuccessPolicyRule says how many and which indexes have to succeed. At least one of its fields is given.',
      succeededCount:
        'How many indexes have to succeed: of those in succeededIndexes, or of all if that is missing. At most as many as there are.',
      succeededIndexes:
        'Indexes that matter, as numbers and ranges with commas between them: "1,3-5,7". Without succeededCount all of them have to succeed.',
    },
    JobStatus: {
      itself: 'JobStatus is what the controller last saw of a Job and its pods.',
      active: 'Pods that wait or run and are not being deleted.',
      completedIndexes: 'Indexes that have succeeded, as numbers and ranges: "0,2-4". Only of indexed Jobs.',
      completionTime: 'When the Job was completed. Only set for Jobs that succeeded.',
      conditions:
        'How the Job stands: "SuccessCriteriaMet" then "Complete", "FailureTarget" then "Failed", and "Suspended". The first of each pair comes when the end is decided, the second when the pods are gone.',
      failed: 'Pods that have failed. It does not become smaller when they are removed.',
      failedIndexes: 'Indexes that were given up, as numbers and ranges. Only with backoffLimitPerIndex.',
      ready: 'Active pods whose condition Ready is true.',
      startTime: 'When the controller began with the Job. It is renewed when a suspended Job resumes.',
      succeeded: 'Pods that have ended well.',
      terminating: 'Pods that are being deleted and have not ended yet.',
      uncountedTerminatedPods:
        'Pods that have ended and are not in succeeded and failed yet. It lets the controller count each exactly once.',
    },
    JobCondition: {
      itself: 'JobCondition is one thing that holds, or does not, of a Job.',
      lastProbeTime: 'When the condition was last looked at.',
      type: '"Suspended", "SuccessCriteriaMet", "Complete", "FailureTarget" or "Failed".',
    },
    UncountedTerminatedPods: {
      itself:
        'UncountedTerminatedPods lists pods that have ended and are about to be counted. They leave the list once their finalizer is taken away.',
      failed: 'UIDs of pods that failed.',
      succeeded: 'UIDs of pods that succeeded.',
    },
    CronJob: {
      itself: 'CronJob makes a Job each time its schedule says so.',
    },
    CronJobSpec: {
      itself: 'CronJobSpec says when Jobs are made, from what, and how many are kept.',
      concurrencyPolicy:
        'What happens if a run is due while the last one still runs: "Allow", the default, lets both run, "Forbid" leaves the new one out, "Replace" ends the old one.',
      failedJobsHistoryLimit: 'How many failed Jobs are kept; 1 by default. 0 keeps none.',
      jobTemplate: 'What the Jobs are made from. A change holds for the Jobs to come.',
      schedule:
        'When Jobs are made, in five fields: minute, hour, day of the month, month, day of the week; or a word such as @hourly, @daily or @weekly.',
      startingDeadlineSeconds:
        'Seconds that a run may be late, for instance because the controller was away. What is later is left out and counts as missed. Without it there is no bound.',
      successfulJobsHistoryLimit: 'How many successful Jobs are kept; 3 by default. 0 keeps none.',
      suspend: 'True makes no more Jobs; those that run go on. False by default.',
      timeZone:
        'Time zone that the schedule is read in, by its name in the tz database, such as Europe/Zurich. If missing, it is that of the controller.',
    },
    JobTemplateSpec: {
      itself: 'JobTemplateSpec is what Jobs are made from.',
      metadata: 'Labels and annotations that the Jobs get. Their names are made from that of the CronJob.',
      spec: 'What is wanted of the Jobs.',
    },
    CronJobStatus: {
      itself: 'CronJobStatus is what the controller last saw of a CronJob.',
      active: 'The Jobs that run at present.',
      lastScheduleTime: 'When a Job was last made, by the schedule.',
      lastSuccessfulTime: 'When a Job last completed successfully.',
    },
  },
};
