/** Rules in CEL of one object may work for seconds together; whoever else asks has a turn between them. */
import test from 'ava';
import { systemClock } from '../clock.ts';
import { DEFINITIONS, establish } from '../testing/establish.ts';
import { createHarness } from '../testing/harness.ts';

const GROUP = 'stable.example.com';
const WIDGETS = `/apis/${GROUP}/v1/namespaces/default/widgets`;
const RULES = 12;
const ELEMENTS = 300;

/** Each about half of what one rule may cost. */
const SLOW_RULES = Array.from({ length: RULES }, (_, index) => ({
  rule: `self.list.all(a, self.list.all(b, a + b + ${index} >= 0))`,
  message: `rule ${index}`,
}));

const definition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `widgets.${GROUP}` },
  spec: {
    group: GROUP,
    scope: 'Namespaced',
    names: { plural: 'widgets', singular: 'widget', kind: 'Widget' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                properties: { list: { type: 'array', maxItems: ELEMENTS, items: { type: 'integer' } } },
                'x-kubernetes-validations': SLOW_RULES,
              },
            },
          },
        },
      },
    ],
  },
};

test('writes of an object with slow rules let others in between two rules, and come to the same end', async t => {
  let turns = 0;
  const clock = {
    ...systemClock,
    nextTurn: (run: () => void) => {
      turns++;
      setImmediate(run);
    },
  };
  const harness = await createHarness({ overrides: { clock } });
  t.teardown(() => harness.close());
  await harness.create(DEFINITIONS, definition);
  await establish(harness);
  const list = Array.from({ length: ELEMENTS }, (_, index) => index);
  const metadata = { name: 'a' };
  const body = { apiVersion: `${GROUP}/v1`, kind: 'Widget', metadata, spec: { list } };
  const order: string[] = [];
  const write = async (method: string, path: string, sent: object) => {
    turns = 0;
    const answer = harness.call(method, path, { body: sent });
    void answer.then(() => order.push(method));
    // Somebody else, who comes a little later.
    await new Promise(resolve => setImmediate(resolve));
    await harness.call('GET', '/api/v1/namespaces/default');
    order.push('other');
    const { status, text } = await answer;
    return { status, text, turns };
  };
  const made = await write('POST', WIDGETS, body);
  t.is(made.status, 201, made.text);
  t.true(made.turns >= 2, `${made.turns} turns`);
  const { resourceVersion } = JSON.parse(made.text).metadata;
  const next = { ...body, metadata: { ...metadata, resourceVersion } };
  const changed = await write('PUT', `${WIDGETS}/a`, { ...next, spec: { list: list.toReversed() } });
  t.is(changed.status, 200, changed.text);
  t.true(changed.turns >= 2, `${changed.turns} turns`);
  t.deepEqual(order, ['other', 'POST', 'other', 'PUT']);
  const wrong = { spec: { list: [...list.slice(1), -400] } };
  const refused = await harness.call('PATCH', `${WIDGETS}/a`, {
    body: wrong,
    headers: { 'content-type': 'application/merge-patch+json' },
  });
  t.is(refused.status, 422);
  t.regex(refused.text, /spec: Invalid value: \\"object\\": rule 0/);
});
