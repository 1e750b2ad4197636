/** What recorded answers do not show of the validation of autoscalers, schedules, addresses and quotas. */
import test from 'ava';
import fc from 'fast-check';
import { scheduleError } from '../cron/schedule.ts';
import { isTimeZone } from '../cron/zones.ts';
import type { AutoscalingV2HorizontalPodAutoscaler } from '../generated/types.ts';
import { fromV2, toV2 } from '../kinds/autoscaling-v1.ts';
import { formatIp, isInside, parseCidr, parseIp } from './addresses.ts';
import { validateQuota } from './resource-quota.ts';

const SCHEDULES: readonly (readonly [string, string | undefined])[] = [
  ['*/5 * * * *', undefined],
  ['0 9-17/2 * JAN-JUN MON,WED', undefined],
  ['@every 1h30m', undefined],
  ['CRON_TZ=Europe/Berlin 0 0 * * *', undefined],
  ['', 'empty spec string'],
  ['@every soon', 'failed to parse duration @every soon: time: invalid duration "soon"'],
  ['TZ=Mars/Base * * * * *', 'provided bad location Mars/Base: unknown time zone Mars/Base'],
  ['1-2-3 * * * *', 'too many hyphens: 1-2-3'],
  ['1/2/3 * * * *', 'too many slashes: 1/2/3'],
  ['*/0 * * * *', 'step of range should be a positive number: */0'],
  ['* * 0 * *', 'beginning of range (0) below minimum (1): 0'],
  ['30-10 * * * *', 'beginning of range (30) beyond end of range (10): 30-10'],
  ['* * * FOO *', 'failed to parse int from FOO: strconv.Atoi: parsing "FOO": invalid syntax'],
];
for (const [schedule, why] of SCHEDULES) {
  test(`schedule ${JSON.stringify(schedule)}`, t => t.is(scheduleError(schedule, isTimeZone), why));
}

test('an address has one text, and that text is the address', t => {
  for (const [given, canonical] of [
    ['::', '::'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['FE80::0001', 'fe80::1'],
    ['1:0:0:0:0:0:0:0', '1::'],
    ['10.0.0.1', '10.0.0.1'],
  ] as const) {
    const ip = parseIp(given);
    t.is(ip && formatIp(ip), canonical, given);
  }
  fc.assert(
    fc.property(fc.ipV6(), text => {
      const ip = parseIp(text);
      return !ip || JSON.stringify(parseIp(formatIp(ip))) === JSON.stringify(ip);
    }),
  );
});

test('an address is inside the ranges that share their prefix with it', t => {
  const isIn = (address: string, cidr: string) => {
    const ip = parseIp(address);
    const range = parseCidr(cidr);
    return ip && range && isInside(ip, range);
  };
  t.true(isIn('10.1.2.3', '10.0.0.0/8'));
  t.false(isIn('11.1.2.3', '10.0.0.0/8'));
  t.true(isIn('11.1.2.3', '0.0.0.0/0'));
  t.false(isIn('::1', '0.0.0.0/0'));
});

test('an autoscaler goes through autoscaling/v1 and comes back the same', t => {
  const object: AutoscalingV2HorizontalPodAutoscaler = {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'h', annotations: { mine: 'kept' } },
    spec: {
      maxReplicas: 5,
      scaleTargetRef: { kind: 'Deployment', name: 'd' },
      behavior: { scaleUp: { selectPolicy: 'Disabled' } },
      metrics: [
        { type: 'Resource', resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '100Mi' } } },
        {
          type: 'Object',
          object: {
            describedObject: { kind: 'Service', name: 's' },
            metric: { name: 'hits' },
            target: { type: 'Value', value: '10' },
          },
        },
        { type: 'External', external: { metric: { name: 'q' }, target: { type: 'AverageValue', averageValue: '2' } } },
        { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } },
      ],
    },
    status: {
      currentReplicas: 2,
      desiredReplicas: 3,
      currentMetrics: [
        { type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 70, averageValue: '7m' } } },
      ],
      conditions: [{ type: 'AbleToScale', status: 'True' }],
    },
  };
  const old = fromV2(object);
  t.is(old.spec?.targetCPUUtilizationPercentage, 50);
  t.is(old.status?.currentCPUUtilizationPercentage, 70);
  t.deepEqual(toV2(old), object);
});

test('annotations of an autoscaler that hold nonsense are passed over', t => {
  const text = ['{', '"x"', 'null', '[1]'];
  for (const nonsense of text.slice(0, 3)) {
    const spec = { maxReplicas: 1, scaleTargetRef: { kind: 'Deployment', name: 'd' } };
    const annotations = { 'autoscaling.alpha.kubernetes.io/metrics': nonsense };
    t.is(toV2({ metadata: { name: 'h', annotations }, spec }).spec?.metrics, undefined, nonsense);
  }
});

test('scopes of a quota fit its resources and each other', t => {
  const messages = (spec: object) => validateQuota({ spec }).map(({ message }) => message.replace(/^.*: /, ''));
  t.deepEqual(messages({ hard: { pods: '1' }, scopes: ['BestEffort'] }), []);
  t.deepEqual(messages({ hard: { cpu: '1' }, scopes: ['BestEffort'] }), ['unsupported scope applied to resource']);
  t.deepEqual(messages({ hard: { pods: '1' }, scopes: ['Terminating', 'NotTerminating'] }), ['conflicting scopes']);
  const matchExpressions = [{ scopeName: 'PriorityClass', operator: 'In', values: ['high'] }];
  t.deepEqual(messages({ hard: { pods: '1' }, scopeSelector: { matchExpressions } }), []);
});
