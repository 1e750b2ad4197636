import test from 'ava';
import { Balancer } from './balancer.ts';

const endpoints = ['10.42.1.2', '10.42.1.3', '10.42.1.4'].map(address => ({
  address,
  port: 80,
  local: true,
  cluster: true,
}));

function balancer(affinitySeconds: number) {
  const world = { now: 0, draw: 0 };
  const made = new Balancer({ now: () => world.now, random: () => world.draw });
  made.update(() => endpoints, affinitySeconds);
  return { made, world };
}

test('draws evenly, never one that was tried, nothing when all were', t => {
  const { made, world } = balancer(0);
  const draws = [0, 0.34, 0.99].map(draw => {
    world.draw = draw;
    return made.pick('a', new Set());
  });
  t.deepEqual(draws, endpoints);
  const [first, second] = endpoints;
  t.is(made.pick('a', new Set([first, second].filter(one => one !== undefined))), endpoints[2]);
  t.is(made.pick('a', new Set(endpoints)), undefined);
});

test('a client stays with its endpoint until the time is over or the endpoint is gone', t => {
  const { made, world } = balancer(10);
  const [first, second, third] = endpoints;
  if (second === undefined || third === undefined) return t.fail();
  made.remember('a', second);
  t.is(made.pick('a', new Set()), second);
  t.is(made.pick('b', new Set()), first);
  t.is(made.pick('a', new Set([second])), first, 'it refused');
  world.now = 9_999;
  t.is(made.pick('a', new Set()), second);
  world.now = 10_000;
  t.is(made.pick('a', new Set()), first);
  made.remember('a', second);
  made.update(() => [third], 10);
  t.is(made.pick('a', new Set()), third);
});

test('whom a client gets may depend on where it is', t => {
  const { made } = balancer(10);
  const [first, second] = endpoints;
  if (first === undefined || second === undefined) return t.fail();
  made.update(client => (client === 'inside' ? [first, second] : [second]), 10);
  t.is(made.pick('inside', new Set()), first);
  t.is(made.pick('outside', new Set()), second);
  t.deepEqual(
    ['inside', 'outside'].map(client => made.mayKeep(client, { ...first })),
    [true, false],
  );
});

test('what still serves keeps its clients, and gets no others', t => {
  const { made } = balancer(0);
  const [first, second] = endpoints;
  if (first === undefined || second === undefined) return t.fail();
  made.update(() => [second], 0, [first.address]);
  t.true(made.mayKeep('a', first));
  t.is(made.pick('b', new Set()), second);
  made.update(() => [second], 0);
  t.false(made.mayKeep('a', first));
});
