/** The controller that tells in a policy's status what does not fit. */
import test, { type ExecutionContext } from 'ava';
import { validatingadmissionpolicies } from '../api/generated/kinds.ts';
import type { ValidatingAdmissionPolicy, ValidatingAdmissionPolicySpec } from '../api/generated/types.ts';
import { DEFINITIONS, establish } from '../apiserver/testing/establish.ts';
import { ADMIN, createHarness } from '../apiserver/testing/harness.ts';
import { Informers } from '../client/informers.ts';
import { silentLogger } from '../client/logger.ts';
import { RestClient } from '../client/rest.ts';
import { systemClock } from '../client/system-clock.ts';
import { until } from '../client/testing/until.ts';
import { admissionPolicyController } from './admission-policies.ts';

/** An API server with nothing but this controller. */
async function controlled(t: ExecutionContext) {
  const harness = await createHarness();
  const transport = {
    request: (request: Parameters<typeof harness.server.handle>[0]) => harness.server.handle(request, ADMIN),
    close: async () => undefined,
  };
  const client = new RestClient({ transport, clock: systemClock, userAgent: 'test' });
  const stop = new AbortController();
  const common = { client, clock: systemClock, random: () => 0.5, logger: silentLogger, signal: stop.signal };
  const informers = new Informers(common);
  const controller = admissionPolicyController({
    ...common,
    informers,
    options: {},
    recorder: () => ({ record: () => undefined }),
  });
  informers.start(stop.signal);
  await informers.waitForSync(stop.signal);
  const running = controller.run();
  t.teardown(async () => {
    stop.abort();
    await running;
    await harness.close();
  });
  /** Writes a policy and waits for what is said of it. */
  const judged = async (name: string, spec: ValidatingAdmissionPolicySpec) => {
    const made = await client.create(validatingadmissionpolicies, { metadata: { name }, spec });
    let policy: ValidatingAdmissionPolicy = made;
    await until('the policy to be checked', async () => {
      policy = await client.get(validatingadmissionpolicies, { name });
      return policy.status?.observedGeneration === policy.metadata?.generation;
    });
    return policy;
  };
  return { ...harness, client, judged };
}

const rule = (group: string, resource: string) => ({
  resourceRules: [{ apiGroups: [group], apiVersions: ['v1'], operations: ['CREATE'], resources: [resource] }],
});

test('a policy that fits is told so, and one that does not is told why, each time that it changes', async t => {
  const { client, judged } = await controlled(t);
  const matchConstraints = rule('apps', 'deployments');
  const good = await judged('good', { matchConstraints, validations: [{ expression: 'object.spec.replicas > 1' }] });
  t.deepEqual(good.status, { observedGeneration: 1, typeChecking: {} });
  const bad = await judged('bad', { matchConstraints, validations: [{ expression: "object.spec.replicas > '1'" }] });
  t.is(bad.status?.typeChecking?.expressionWarnings?.[0]?.fieldRef, 'spec.validations[0].expression');
  const body = { spec: { validations: [{ expression: 'object.spec.replicas > 2' }] } };
  await client.patch(validatingadmissionpolicies, { name: 'bad' }, { type: 'application/merge-patch+json', body });
  await until('the policy to be checked again', async () => {
    const { status } = await client.get(validatingadmissionpolicies, { name: 'bad' });
    return status?.observedGeneration === 2 && status.typeChecking?.expressionWarnings === undefined;
  });
});

test('custom resources have types too', async t => {
  const harness = await controlled(t);
  await harness.create(DEFINITIONS, {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'things.x.example.com' },
    spec: {
      group: 'x.example.com',
      scope: 'Cluster',
      names: { plural: 'things', singular: 'thing', kind: 'Thing' },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', properties: { size: { type: 'integer' } } } },
        },
      ],
    },
  } as object);
  await establish(harness);
  const { status } = await harness.judged('p', {
    paramKind: { apiVersion: 'x.example.com/v1', kind: 'Thing' },
    matchConstraints: rule('x.example.com', 'things'),
    validations: [
      { expression: 'object.size > params.size' },
      { expression: "object.size == 'x' || params.nope == 1" },
    ],
  });
  const warnings = status?.typeChecking?.expressionWarnings ?? [];
  t.deepEqual(
    warnings.map(({ fieldRef }) => fieldRef),
    ['spec.validations[1].expression'],
  );
  t.regex(
    warnings[0]?.warning ?? '',
    /x.example.com\/v1, Kind=Thing: ERROR[\s\S]*'\(int, string\)'[\s\S]*undefined field 'nope'/,
  );
});
