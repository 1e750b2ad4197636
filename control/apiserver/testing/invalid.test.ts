/**
 * Replays the recorded answers of shared/api/invalid.json: mistakes of every kind, and what a real server said to them.
 * What differs stands in a list, with the reason. The facts live outside the repository; without them the test is skipped.
 */
import { existsSync, readFileSync } from 'node:fs';
import test from 'ava';
import type { ClusterRole } from '../../api/generated/types.ts';
import type { KubernetesObject } from '../../api/kind.ts';
import { findResource } from '../../api/registry.ts';
import { aggregatedRules } from '../../controllers/cluster-role-aggregation.ts';
import { readRequestInfo } from '../request-info.ts';
import type { Identity } from '../types.ts';
import { establish } from './establish.ts';
import { ADMIN, type Answer, createHarness, type Harness } from './harness.ts';
import { serviceAccountKey } from './service-account-key.ts';

const FACTS = new URL('../../../../shared/api/invalid.json', import.meta.url);

interface RecordedAnswer {
  readonly code: number;
  readonly status?: Record<string, unknown>;
  readonly text?: string;
  readonly warnings?: readonly string[];
  readonly items?: number;
  readonly watchError?: Record<string, unknown>;
}
interface Case {
  readonly area: string;
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly rawBody?: string;
  readonly contentType?: string;
  readonly accept?: string;
  readonly auth?: string;
  readonly impersonate?: { readonly user?: string; readonly groups?: readonly string[] };
  readonly goText?: boolean;
  readonly answer: RecordedAnswer;
}
interface Fixture {
  readonly path: string;
  readonly body: KubernetesObject;
}
interface Facts {
  readonly namespace: unknown;
  readonly fixtures: readonly Fixture[];
  readonly applyFixtures: readonly Fixture[];
  readonly cases: readonly Case[];
}

/** Answers that differ, each with the reason. All others are the recorded ones. */
const DIFFERENT: Readonly<Record<string, string>> = {
  'selector/expression-in-without-values': 'shows Go values; an empty list that was sent and none are one once decoded',
  'crd/no-versions': 'shows Go values; as above',
  'custom-resource/version-mismatch': 'no warnings about an object whose version is refused',
};

const facts = existsSync(FACTS) ? (JSON.parse(readFileSync(FACTS, 'utf8')) as Facts) : undefined;

(facts ? test : test.skip)('mistakes are answered as Kubernetes answers them', async t => {
  const harness = await createHarness({
    limits: { freshnessWaitMsMax: 200 },
    withRoles: true,
    overrides: { serviceAccountKey: serviceAccountKey() },
  });
  t.teardown(() => harness.close());
  await setUp(harness, facts as Facts);
  const scores = new Map<string, { right: number; all: number }>();
  const wrong: string[] = [];
  const differing: string[] = [];
  for (const recorded of (facts as Facts).cases) {
    if (!isAboutUs(recorded)) continue;
    const score = scores.get(recorded.area) ?? { right: 0, all: 0 };
    scores.set(recorded.area, score);
    score.all++;
    const answer = await replay(harness, recorded);
    const difference = differenceOf(recorded, answer);
    if (answer.status === 201 && recorded.answer.code !== 201) await undo(harness, recorded, answer);
    const name = `${recorded.area}/${recorded.id}`;
    if (difference === undefined) score.right++;
    else if (name in DIFFERENT) differing.push(name);
    else wrong.push(`${name}: ${difference}`);
  }
  for (const [area, { right, all }] of scores) t.log(`${area}: ${right}/${all}`);
  t.deepEqual(wrong, []);
  t.deepEqual([...differing].sort(), Object.keys(DIFFERENT).sort(), 'what differs is what the list says');
  t.true([...scores.values()].reduce((sum, { all }) => sum + all, 0) >= 780);
});

async function setUp(harness: Harness, { fixtures, applyFixtures }: Facts): Promise<void> {
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 't-invalid' } };
  await harness.create('/api/v1/namespaces', namespace);
  for (const { path, body } of fixtures) {
    if (isServed('POST', path)) await harness.call('POST', path, { body, headers: { 'user-agent': 'apifacts' } });
    if (body.kind === 'CustomResourceDefinition') await establish(harness);
  }
  const headers = { 'content-type': 'application/apply-patch+yaml' };
  for (const { path, body } of applyFixtures) await harness.call('PATCH', path, { headers, body });
  await aggregate(harness);
}

/** What a controller does for the roles that are made of others; those that are made of such have to wait for them. */
async function aggregate(harness: Harness): Promise<void> {
  const path = '/apis/rbac.authorization.k8s.io/v1/clusterroles';
  for (const name of ['view', 'edit', 'admin']) {
    const all = (await harness.call('GET', path)).body.items as ClusterRole[];
    const role = all.find(({ metadata }) => metadata?.name === name);
    if (!role) continue;
    await harness.call('PUT', `${path}/${name}`, { body: { ...role, rules: aggregatedRules(role, all) } });
  }
}

/** Of the custom resources that the fixtures define. */
const CUSTOM_GROUP = 'invalid.example.com';

function isServed(method: string, path: string): boolean {
  const { isResource, group, version, resource } = readRequestInfo(method, path);
  return !isResource || group === CUSTOM_GROUP || findResource(group, version, resource) !== undefined;
}

/** Where this server differs on purpose, or the record needs what is not here. */
const OTHERWISE: Readonly<Record<string, string>> = {
  'apis-beta-removed': 'old versions of workloads are served',
  'extensions-ingress': 'old versions of workloads are served',
  'send-initial-events-no-match': 'streaming lists are served',
  'watch-old-resource-version': 'needs a compacted store',
  'exact-too-old': 'needs a compacted store',
  'unauthorized-bad-token': 'needs a connection',
  'unauthorized-bad-token-discovery': 'needs a connection',
};

/** Kinds that are not declared yet are later work. */
function isAboutUs({ area, id, method, path }: Case): boolean {
  if (id in OTHERWISE) return false;
  if (area === 'lookup' || area === 'http' || area === 'query') {
    const { group, resource } = readRequestInfo(method, path);
    const isAbsentOnPurpose = /not-found|unknown|removed|extensions|bananas/.test(id);
    return isAbsentOnPurpose || isServed(method, path) || (group === '' && resource === 'componentstatuses');
  }
  return isServed(method, path);
}

/** Takes away what should not have come to be, so that the cases behind it meet what was recorded. */
async function undo(harness: Harness, { path }: Case, { body }: Answer): Promise<void> {
  const collection = path.split('?')[0];
  if (body.metadata?.name) await harness.call('DELETE', `${collection}/${body.metadata.name}?gracePeriodSeconds=0`);
}

const ROBOT: Identity = {
  user: 'system:serviceaccount:t-invalid:robot',
  groups: ['system:serviceaccounts', 'system:serviceaccounts:t-invalid'],
};
const ANONYMOUS: Identity = { user: 'system:anonymous', groups: ['system:unauthenticated'] };

async function replay(harness: Harness, recorded: Case): Promise<Answer> {
  const { method, path, body, rawBody, contentType, accept, auth, impersonate } = recorded;
  const isWatch = readRequestInfo(method, path).verb === 'watch';
  const headers: Record<string, string> = {};
  if (contentType !== undefined) headers['content-type'] = contentType;
  if (accept !== undefined) headers.accept = accept;
  if (impersonate?.user !== undefined) headers['impersonate-user'] = impersonate.user;
  if (impersonate?.groups) headers['impersonate-group'] = impersonate.groups.join(', ');
  const identity = auth === 'none' ? ANONYMOUS : auth === 'service-account-token' ? ROBOT : ADMIN;
  const expanded = body === undefined ? rawBody : asSent(expand(body));
  const wanted = isWatch && !path.includes('timeoutSeconds') ? `${path}&timeoutSeconds=1` : path;
  return harness.call(method, wanted, { headers, identity, ...(expanded !== undefined && { body: expanded }) });
}

/** Bodies too long to be recorded are described. */
function expand(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(expand);
  if (typeof value !== 'object' || value === null) return value;
  const { $repeat, $repeatItem } = value as { $repeat?: [string, number]; $repeatItem?: [unknown, number] };
  if ($repeat) return $repeat[0].repeat($repeat[1]);
  if ($repeatItem) return Array.from({ length: $repeatItem[1] }, () => $repeatItem[0]);
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, expand(entry)]));
}

/** JSON as the recorder wrote it: with spaces, and an object's first fields first (the facts' keys are sorted). */
function asSent(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(asSent).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const usual = ['apiVersion', 'kind', 'metadata', 'spec', 'data'];
  const rank = (key: string) => (usual.includes(key) ? usual.indexOf(key) : usual.length);
  const entries = Object.entries(value).sort(([a], [b]) => rank(a) - rank(b));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}: ${asSent(item)}`).join(', ')}}`;
}

/** What is different, in a few words; undefined if nothing is. */
function differenceOf({ answer: recorded, goText }: Case, answer: Answer): string | undefined {
  if (recorded.code !== answer.status)
    return `${answer.status} instead of ${recorded.code}: ${answer.text.slice(0, 200)}`;
  if (recorded.text !== undefined && recorded.text !== answer.text) return `text ${JSON.stringify(answer.text)}`;
  if (recorded.items !== undefined && answer.body?.items?.length !== recorded.items) return 'number of items';
  if (recorded.status && !goText) {
    const wanted = settle({ kind: 'Status', apiVersion: 'v1', metadata: {}, code: recorded.code, ...recorded.status });
    const got = settle(answer.body);
    if (wanted !== got) return `\n      ${got}\n      ${wanted}`;
  }
  if (recorded.watchError && settle(answer.body?.object) !== settle(recorded.watchError)) return `watch ${answer.text}`;
  const warnings = (answer.headers.warning?.match(/299 - "(?:[^"\\]|\\.)*"/g) ?? []).map(text =>
    text.slice('299 - "'.length, -1).replaceAll('\\"', '"').replaceAll('\\\\', '\\'),
  );
  if (recorded.warnings && JSON.stringify(warnings.sort()) !== JSON.stringify([...recorded.warnings].sort())) {
    return `warnings ${JSON.stringify(warnings)} instead of ${JSON.stringify(recorded.warnings)}`;
  }
  return undefined;
}

/** Keys in order; what changes from run to run is replaced. */
function settle(value: unknown): string {
  const sorted = (inner: unknown): unknown => {
    if (Array.isArray(inner)) return inner.map(sorted);
    if (typeof inner !== 'object' || inner === null) return inner;
    const entries = Object.entries(inner).filter(([, entry]) => entry !== null && entry !== undefined);
    return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, entry]) => [key, sorted(entry)]));
  };
  return (
    (JSON.stringify(sorted(value)) ?? '')
      // Keys of the recorded bodies were sorted, so that what is told in their order came in another one.
      .replaceAll(/(?:unknown field \\"[^"]*\\"(?:, )?){2,}/g, list => list.split(', ').sort().join(', '))
      .replaceAll(/(?<![0])[0-9a-f]{8}-[0-9a-f]{4}-[1-9a-f][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uid>')
      .replaceAll(/(?<=\bBad-)[a-z0-9]{5}\b/g, '<rand>')
      .replaceAll(/(in record|current:|too old resource version: \d+) \(?\d+\)?/g, '$1 <rv>')
      .replaceAll(/(in record|current:|too old resource version: \d+) \(?<rv>\)?/g, '$1 <rv>')
  );
}
