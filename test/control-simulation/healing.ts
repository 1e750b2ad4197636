/** The end of all misfortune that users brought about: what was broken on purpose is mended, so that everything comes to its end. */
import * as kinds from '../../control/api/generated/kinds.ts';
import type { Deployment, Job, Pod, ReplicaSet } from '../../control/api/generated/types.ts';
import type { Kind } from '../../control/api/kind.ts';
import { objectKey } from '../../control/client/keys.ts';
import { cpuMillis, millis, uidOf } from './facts.ts';
import { BROKEN_IMAGE } from './hollow-node.ts';
import { HUGE_CPU, isExpected, MERGE, type Users, WITH_TEMPLATES } from './users.ts';
import { controllerUid, type View } from './view.ts';

const ROOMY = { pods: '500', 'requests.cpu': '500', 'count/jobs.batch': '500' };

/** By then every controller has seen the last change of a template: longer than any watch is silent or backs off. */
const TEMPLATE_SEEN_MS = 60_000;

/** Mends everything. @throws what went wrong with anything that users did before */
export async function heal(users: Users): Promise<void> {
  await users.finish();
  const { client, view } = users;
  for (const quota of view.list('resourcequotas')) {
    await client.patch(kinds.resourcequotas, objectKey(quota), { type: MERGE, body: { spec: { hard: ROOMY } } });
  }
  for (const [kind, plural] of WITH_TEMPLATES) {
    for (const owner of view.list<Deployment>(plural)) {
      if (owner.metadata?.deletionTimestamp || owner.metadata?.ownerReferences) continue;
      const spec = { template: { spec: { containers: [users.container()] } } };
      const paused = plural === 'deployments' ? { paused: null } : {};
      await quietly(
        client.patch(kind as Kind, objectKey(owner), { type: MERGE, body: { spec: { ...spec, ...paused } } }),
      );
    }
  }
  // What is due again and again would never let the world stand still.
  for (const cron of view.list('cronjobs')) {
    await quietly(client.patch(kinds.cronjobs, objectKey(cron), { type: MERGE, body: { spec: { suspend: true } } }));
  }
  for (const job of view.list<Job>('jobs')) {
    if (!job.spec?.suspend) continue;
    await quietly(client.patch(kinds.jobs, objectKey(job), { type: MERGE, body: { spec: { suspend: false } } }));
  }
  // A replacement must not be made after the template of before.
  await users.pause(TEMPLATE_SEEN_MS);
  for (const pod of view.list<Pod>('pods')) {
    if (isStuck(view, pod)) await quietly(client.delete(kinds.pods, objectKey(pod), { gracePeriodSeconds: 0 }));
  }
}

/**
 * Whether nothing will ever run the pod, nor take it away. A deployment rolls its broken pods away by itself; a set without
 * one, such as an orphan, keeps those that it has, whatever becomes of its template.
 */
function isStuck(view: View, pod: Pod): boolean {
  const isBroken = pod.spec?.containers[0]?.image === BROKEN_IMAGE;
  // A set whose selector a plain pod matches may have taken it in.
  if (pod.metadata?.generateName === undefined) return isBroken || cpuMillis(pod) >= millis(HUGE_CPU);
  const set = view.list<ReplicaSet>('replicasets').find(other => uidOf(other) === controllerUid(pod));
  return isBroken && !(set && controllerUid(set));
}

async function quietly(work: Promise<unknown>): Promise<void> {
  await work.catch((error: unknown) => {
    if (!isExpected(error)) throw error;
  });
}
