import test from 'ava';
import { flowschemas, prioritylevelconfigurations } from '../api/generated/kinds.ts';
import type { FlowSchema } from '../api/generated/types.ts';
import { ADMIN, createHarness } from '../apiserver/testing/harness.ts';
import { Informers } from '../client/informers.ts';
import { silentLogger } from '../client/logger.ts';
import { RestClient } from '../client/rest.ts';
import { systemClock } from '../client/system-clock.ts';
import { until } from '../client/testing/until.ts';
import { danglingCondition, flowSchemaController } from './flow-schemas.ts';

const NOW = '2024-01-02T03:04:05Z';
const schema = (status: FlowSchema['status'] = {}): FlowSchema => ({
  metadata: { name: 's' },
  spec: { priorityLevelConfiguration: { name: 'p' } },
  status,
});

test('a condition is made where it is missing or wrong, and keeps its time while its status is the same', t => {
  const missing = danglingCondition(schema(), false, NOW);
  t.deepEqual(missing, {
    type: 'Dangling',
    status: 'True',
    reason: 'NotFound',
    message: 'This FlowSchema references the PriorityLevelConfiguration object named "p" but there is no such object',
    lastTransitionTime: NOW,
  });
  const conditions = missing ? [missing] : [];
  t.is(danglingCondition(schema({ conditions }), false, 'later'), undefined);
  t.like(danglingCondition(schema({ conditions }), true, 'later'), { status: 'False', lastTransitionTime: 'later' });
  const renamed = { ...schema({ conditions }), spec: { priorityLevelConfiguration: { name: 'q' } } };
  t.like(danglingCondition(renamed, false, 'later'), { status: 'True', lastTransitionTime: NOW });
});

test('the status follows the priority levels that come and go', async t => {
  const harness = await createHarness();
  const transport = {
    request: (request: Parameters<typeof harness.server.handle>[0]) => harness.server.handle(request, ADMIN),
    close: async () => undefined,
  };
  const client = new RestClient({ transport, clock: systemClock, userAgent: 'test' });
  const stop = new AbortController();
  const common = { client, clock: systemClock, random: () => 0.5, logger: silentLogger, signal: stop.signal };
  const informers = new Informers(common);
  const recorder = () => ({ record: () => undefined });
  const controller = flowSchemaController({ ...common, informers, options: {}, recorder });
  informers.start(stop.signal);
  await informers.waitForSync(stop.signal);
  const running = controller.run();
  t.teardown(async () => {
    stop.abort();
    await running;
    await harness.close();
  });
  const status = async () => {
    const { status: found } = await client.get(flowschemas, { name: 's' });
    return found?.conditions?.find(({ type }) => type === 'Dangling')?.status;
  };
  await client.create(flowschemas, { metadata: { name: 's' }, spec: { priorityLevelConfiguration: { name: 'p' } } });
  await until('the schema to dangle', async () => (await status()) === 'True');
  const limited = { nominalConcurrencyShares: 1, limitResponse: { type: 'Reject' } };
  await client.create(prioritylevelconfigurations, { metadata: { name: 'p' }, spec: { type: 'Limited', limited } });
  await until('the schema to find its level', async () => (await status()) === 'False');
  await client.delete(prioritylevelconfigurations, { name: 'p' });
  await until('the schema to dangle again', async () => (await status()) === 'True');
  t.pass();
});
