import test from 'ava';
import { events as eventsKind } from '../api/generated/kinds.ts';
import { hasReason } from '../api/status.ts';
import { ApiEventRecorder } from './events.ts';
import { EVENT_BURST_MAX, EVENT_QUEUE_MAX } from './limits.ts';
import { silentLogger } from './logger.ts';
import { RestClient } from './rest.ts';
import { ManualClock } from './testing/manual-clock.ts';
import { MemoryApi } from './testing/memory-api.ts';

function setup(instance?: string) {
  const clock = new ManualClock();
  const api = new MemoryApi(clock);
  const client = new RestClient({ transport: api, clock, userAgent: 'test' });
  const recorder = new ApiEventRecorder({
    client,
    clock,
    logger: silentLogger,
    component: 'c',
    ...(instance && { instance }),
  });
  const record = async (message: string, name = 'p') => {
    recorder.record(
      { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'n', uid: name } },
      { type: 'Normal', reason: 'R', message },
    );
    await recorder.flushed();
  };
  const list = async () => (await client.list(eventsKind)).items;
  return { clock, api, client, recorder, record, list };
}

test('a repeated event is one object with a count', async t => {
  const { clock, record, list } = setup();
  for (let index = 0; index < 3; index++) {
    await record('same');
    await clock.advance(1000);
  }
  const [event, ...others] = await list();
  t.is(others.length, 0);
  t.like(event, {
    count: 3,
    firstTimestamp: '2026-01-01T00:00:00Z',
    lastTimestamp: '2026-01-01T00:00:02Z',
    source: { component: 'c' },
  });
  t.like(event?.involvedObject, { kind: 'Pod', name: 'p', namespace: 'n', uid: 'p' });
});

test('the newer style counts in a series', async t => {
  const { record, list } = setup('c-1');
  await record('same');
  await record('same');
  const [event] = await list();
  t.like(event, { eventTime: '2026-01-01T00:00:00.000000Z', reportingInstance: 'c-1', series: { count: 2 } });
  t.is(event?.count, undefined);
});

test('many alike events are merged', async t => {
  const { record, list } = setup();
  for (let index = 0; index < 15; index++) await record(`message ${index}`);
  const events = await list();
  t.is(events.length, 10);
  t.is(events.at(-1)?.message, '(combined from similar events): message 14');
  t.is(events.at(-1)?.count, 6);
});

test('an event that ran out of its time begins again', async t => {
  const { client, record, list } = setup();
  await record('same');
  await client.deleteCollection(eventsKind, { namespace: 'n' });
  await record('same');
  t.is((await list()).length, 1);
});

test('one object cannot flood, others are not affected', async t => {
  const { record, list } = setup();
  for (let index = 0; index < EVENT_BURST_MAX + 20; index++) await record('same');
  t.is((await list())[0]?.count, EVENT_BURST_MAX);
  await record('other', 'q');
  t.is((await list()).length, 2);
});

test('recording never waits and never fails; what does not fit is counted', async t => {
  const { api, recorder } = setup();
  api.intercept = () => {
    throw new Error('unreachable');
  };
  for (let index = 0; index < EVENT_QUEUE_MAX + 100; index++) {
    recorder.record(
      { kind: 'Pod', metadata: { name: `p${index}`, namespace: 'n' } },
      { type: 'Normal', reason: 'R', message: 'm' },
    );
  }
  t.true(recorder.dropped > 0);
  await t.notThrowsAsync(recorder.flushed());
});

test('errors of the server are told by reason, whatever they look like', async t => {
  const { client, api } = setup();
  const error = await t.throwsAsync(client.get(eventsKind, { namespace: 'n', name: 'x' }));
  t.true(hasReason(error, 'NotFound'));
  const plain = new RestClient({
    clock: new ManualClock(),
    userAgent: 'test',
    transport: {
      request: async () => ({
        status: 404,
        headers: {},
        body: (async function* () {
          yield Buffer.from('404 page not found');
        })(),
      }),
      close: () => api.close(),
    },
  });
  const other = await t.throwsAsync(plain.get(eventsKind, { name: 'x' }), { message: '404 page not found' });
  t.true(hasReason(other, 'NotFound'));
});
