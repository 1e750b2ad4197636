/**
 * ResourceQuota: what a write takes is added to `status.used` of its namespace's quotas in the very transaction that writes
 * the object, and only if they still are what was looked at. So no two masters give the same room away twice, and a write that
 * fails takes nothing. What becomes free is counted anew by the controller.
 */
import { resourcequotas } from '../../../api/generated/kinds.ts';
import type { ResourceQuota } from '../../../api/generated/types.ts';
import type { KubernetesObject } from '../../../api/kind.ts';
import { type Evaluator, evaluatorOf } from '../../../api/quota/evaluators.ts';
import { forbidden } from '../../../api/status.ts';
import type { CachedObject } from '../../cache/cached-object.ts';
import { encodeStored } from '../../cache/encoding.ts';
import type { WatchCache } from '../../cache/watch-cache.ts';
import { resourceName, resourcePrefix } from '../../keys.ts';
import type { Clock } from '../../types.ts';
import type { ExtraConditions } from '../../verbs/commit.ts';
import type { AdmissionPlugin, AdmissionRequest, States } from '../admission.ts';
import { checkQuotas, type QuotaVerdict } from './check.ts';
import { type Turn, Turns } from './turns.ts';

const QUOTAS = resourcePrefix(resourcequotas);

/** The last plugin of all: nothing may be charged for what another one refuses. */
export function resourceQuota({
  cache,
  clock,
}: {
  readonly cache: WatchCache;
  readonly clock: Clock;
}): AdmissionPlugin {
  const turns = new Turns(clock);
  return {
    name: 'ResourceQuota',
    conclude(request, { object, old }) {
      const { namespace } = request.info;
      if (!object || namespace === '' || cache.resource(QUOTAS).size === 0) return {};
      if (request.kind.group === '' && request.kind.plural === 'namespaces') return {};
      const evaluator = evaluatorOf(request.kind.group, request.kind.plural);
      if (!evaluator || !isCharged(evaluator, request, { object, old })) return {};
      if (quotasIn(cache, namespace).length === 0) return {};
      const question = { evaluator, request, object, old: request.operation === 'UPDATE' ? old : undefined };
      return request.isDryRun
        ? judge({ cache, clock }, question).then(() => ({}))
        : inTurn({ cache, clock, turns }, question);
    },
  };
}

function isCharged(evaluator: Evaluator, { operation, info }: AdmissionRequest, { object, old }: States): boolean {
  if (operation === 'CREATE') return info.subresource === '';
  if (operation !== 'UPDATE' || !evaluator.chargesUpdatesOf.includes(info.subresource)) return false;
  // A status is written often, and rarely says anything that is charged.
  return info.subresource !== 'status' || (!!object && !!old && !!evaluator.frees?.(object, old));
}

interface World {
  readonly cache: WatchCache;
  readonly clock: Clock;
}

interface Question {
  readonly evaluator: Evaluator;
  readonly request: AdmissionRequest;
  readonly object: KubernetesObject;
  readonly old: KubernetesObject | undefined;
}

const quotasIn = (cache: WatchCache, namespace: string): CachedObject[] =>
  cache.resource(QUOTAS).list(`${QUOTAS}${namespace}/`);

interface Judgement {
  readonly cached: readonly CachedObject[];
  readonly quotas: readonly ResourceQuota[];
  readonly used: ReadonlyMap<number, Record<string, string>>;
}

async function inTurn({ turns, ...world }: World & { readonly turns: Turns }, question: Question) {
  const turn = await turns.take(question.request.info.namespace);
  try {
    await world.cache.waitFor(turn.after);
    const judgement = await judge(world, question);
    if (judgement.used.size === 0) {
      turn.end();
      return {};
    }
    return conditionsOf(judgement, turn);
  } catch (error) {
    turn.end();
    throw error;
  }
}

/** What the quotas say; a refusal counts only if they are up to date. Throws 403. */
async function judge({ cache, clock }: World, question: Question): Promise<Judgement> {
  const { request, evaluator, object, old } = question;
  const ask = (cached: readonly CachedObject[]): Judgement & { readonly verdict: QuotaVerdict } => {
    const quotas = cached.map(each => each.parse<ResourceQuota>());
    const isStatus = request.info.subresource === 'status';
    const verdict = checkQuotas(quotas, { evaluator, object, old, nowMs: clock.now(), isStatus });
    return { cached, quotas, verdict, used: verdict.type === 'charged' ? verdict.used : new Map() };
  };
  const { namespace } = request.info;
  let answer = ask(quotasIn(cache, namespace));
  if (answer.verdict.type === 'refused') {
    await cache.freshen();
    answer = ask(quotasIn(cache, namespace));
  }
  if (answer.verdict.type === 'charged') return answer;
  throw forbidden(resourceName(request.kind), object.metadata?.name ?? '', answer.verdict.why);
}

function conditionsOf({ cached, quotas, used }: Judgement, turn: Turn): ExtraConditions {
  const charged = cached.flatMap((each, index) => {
    const [quota, amounts] = [quotas[index], used.get(index)];
    if (!quota || !amounts) return [];
    const { resourceVersion: _version, ...metadata } = quota.metadata ?? {};
    const object = { ...quota, metadata, status: { ...quota.status, used: amounts } };
    return [{ key: each.key, revision: each.revision, value: encodeStored(object) }];
  });
  return {
    compare: charged.map(({ key, revision }) => ({ key, target: 'modRevision', op: '=', value: revision }) as const),
    then: charged.map(({ key, value }) => ({ type: 'put', key, value }) as const),
    settle: revision => turn.end(revision),
  };
}
