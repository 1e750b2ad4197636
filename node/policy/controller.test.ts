import test, { type ExecutionContext } from 'ava';
import { until } from '../../control/client/testing/until.ts';
import { type NetworkPolicy, namespaces, networkpolicies, pods } from '../api.ts';
import { World } from '../testing/world.ts';
import type { PolicyEnforcer } from './enforcer.ts';
import { ADMIT_TIMEOUT_MS, TABLE_CHECK_MS } from './limits.ts';
import { type PolicyRuleset, PolicyUnavailableError } from './ruleset.ts';
import { isAllowedByRules } from './test-evaluator.ts';

/** Keeps what it is told instead of telling the kernel. */
class MemoryEnforcer implements PolicyEnforcer {
  rules: PolicyRuleset | undefined;
  applied = 0;
  removed = false;
  /** While it is set, updates wait for it. */
  gate: Promise<void> | undefined;
  unavailable: string | undefined;
  /** While it is set, nothing is known of the machine. */
  looking: Promise<void> | undefined;
  async start() {
    await this.looking;
    if (this.unavailable !== undefined) throw new PolicyUnavailableError(this.unavailable);
  }
  async apply(rules: PolicyRuleset) {
    await this.gate;
    this.rules = rules;
    this.applied += 1;
  }
  async isInPlace() {
    return this.rules !== undefined;
  }
  async close({ remove }: { remove: boolean }) {
    this.removed = remove;
  }
  passes(from: string, to: string): boolean {
    return this.rules === undefined || isAllowedByRules(this.rules, { from, to, protocol: 'TCP', port: 80 });
  }
}

async function start(t: ExecutionContext): Promise<{ world: World; enforcer: MemoryEnforcer }> {
  const world = await World.create();
  t.teardown(() => world.close());
  const enforcer = new MemoryEnforcer();
  await world.client.create(namespaces, { metadata: { name: 'default', labels: { team: 'a' } } });
  return { world, enforcer };
}

const allowFrom = (app: string): NetworkPolicy => ({
  metadata: { name: 'only', namespace: 'default' },
  spec: { podSelector: {}, ingress: [{ from: [{ podSelector: { matchLabels: { app } } }] }] },
});

/** Time passes until it is true. */
async function passing(world: World, what: string, isTrue: () => boolean): Promise<void> {
  await until(what, async () => {
    await world.clock.advance(50);
    return isTrue();
  });
}

async function remotePod(world: World, name: string, { ip, app }: { ip: string; app: string }): Promise<void> {
  await world.client.create(pods, {
    metadata: { name, namespace: 'default', labels: { app } },
    spec: { nodeName: 'node-2', containers: [{ name: 'app', image: 'app:1' }] },
    status: { phase: 'Running', podIPs: [{ ip }] },
  });
}

test('a pod has its rules before its first container is made', async t => {
  const { world, enforcer } = await start(t);
  await world.client.create(networkpolicies, allowFrom('friend'));
  const gate = Promise.withResolvers<void>();
  enforcer.gate = gate.promise;
  await world.startAgent({ policyEnforcer: enforcer });
  await world.createPod('web');
  await until('it has its address', () => world.network.addresses.size === 1);
  await world.clock.advance(ADMIT_TIMEOUT_MS / 2);
  t.is(world.runtime.running('app'), undefined, 'not before its rules stand');
  gate.resolve();
  await passing(world, 'it runs', () => world.runtime.running('app') !== undefined);
  t.false(enforcer.passes('10.42.0.99', '10.42.0.2'));
  t.true(enforcer.passes('10.42.0.2', '10.42.0.99'));
});

test('rules that never come make the pod wait, with an event', async t => {
  const { world, enforcer } = await start(t);
  await world.client.create(networkpolicies, allowFrom('friend'));
  const gate = Promise.withResolvers<void>();
  t.teardown(() => gate.resolve());
  enforcer.gate = gate.promise;
  await world.startAgent({ policyEnforcer: enforcer });
  await world.createPod('web');
  await until('it has its address', () => world.network.addresses.size === 1);
  await world.clock.advance(ADMIT_TIMEOUT_MS + 1_000);
  await until('the event is written', async () => {
    const events = await world.events('web');
    return events.some(text => /FailedCreatePodSandBox: .*network policies of this pod do not stand yet/.test(text));
  });
  t.is(world.runtime.running('app'), undefined);
  gate.resolve();
  await passing(world, 'it runs', () => world.runtime.running('app') !== undefined);
});

test('policies, labels and pods that come and go change the rules', async t => {
  const { world, enforcer } = await start(t);
  await world.startAgent({ policyEnforcer: enforcer });
  await world.createPod('web');
  await world.untilPod('web', 'is Running', ({ status }) => status?.phase === 'Running');
  const all = world.api.requests.filter(
    ({ path }) => path.startsWith('/api/v1/pods') && !path.includes('spec.nodeName'),
  );
  t.deepEqual(all, [], 'without policies nobody follows the pods of the cluster');

  await world.client.create(networkpolicies, allowFrom('friend'));
  await remotePod(world, 'guest', { ip: '10.42.1.7', app: 'friend' });
  await passing(world, 'the guest may come', () => enforcer.applied > 0 && enforcer.passes('10.42.1.7', '10.42.0.2'));
  t.false(enforcer.passes('10.42.1.8', '10.42.0.2'));

  await remotePod(world, 'other', { ip: '10.42.1.8', app: 'friend' });
  await passing(world, 'the other too', () => enforcer.passes('10.42.1.8', '10.42.0.2'));
  const patch = { type: 'application/merge-patch+json' as const, body: { metadata: { labels: { app: 'stranger' } } } };
  await world.client.patch(pods, { namespace: 'default', name: 'guest' }, patch);
  await passing(world, 'by its new label no more', () => !enforcer.passes('10.42.1.7', '10.42.0.2'));
  await world.client.delete(pods, { namespace: 'default', name: 'other' });
  await passing(world, 'nor one that is gone', () => !enforcer.passes('10.42.1.8', '10.42.0.2'));

  await world.client.delete(networkpolicies, { namespace: 'default', name: 'only' });
  await passing(world, 'all may come', () => enforcer.rules?.chains.size === 0);
  await world.agent?.drainAndRemove();
  t.true(enforcer.removed);
});

test('a namespace that gets the label lets its pods in', async t => {
  const { world, enforcer } = await start(t);
  await world.client.create(namespaces, { metadata: { name: 'other' } });
  await world.client.create(pods, {
    metadata: { name: 'guest', namespace: 'other' },
    spec: { nodeName: 'node-2', containers: [{ name: 'app', image: 'app:1' }] },
    status: { phase: 'Running', podIPs: [{ ip: '10.42.1.7' }] },
  });
  await world.client.create(networkpolicies, {
    metadata: { name: 'only', namespace: 'default' },
    spec: { podSelector: {}, ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: 'b' } } }] }] },
  });
  await world.startAgent({ policyEnforcer: enforcer });
  await world.createPod('web');
  await passing(world, 'it is isolated', () => enforcer.rules?.isolated.ingress.has('10.42.0.2') === true);
  t.false(enforcer.passes('10.42.1.7', '10.42.0.2'));
  const patch = { type: 'application/merge-patch+json' as const, body: { metadata: { labels: { team: 'b' } } } };
  await world.client.patch(namespaces, { name: 'other' }, patch);
  await passing(world, 'the guest may come', () => enforcer.passes('10.42.1.7', '10.42.0.2'));
});

test('rules that somebody took away come back', async t => {
  const { world, enforcer } = await start(t);
  await world.client.create(networkpolicies, allowFrom('friend'));
  await world.startAgent({ policyEnforcer: enforcer });
  await world.createPod('web');
  await passing(world, 'it is isolated', () => enforcer.rules?.isolated.ingress.has('10.42.0.2') === true);
  enforcer.rules = undefined;
  await world.clock.advance(TABLE_CHECK_MS);
  await passing(world, 'it is isolated again', () => enforcer.rules?.isolated.ingress.has('10.42.0.2') === true);
  t.false(enforcer.passes('10.42.1.7', '10.42.0.2'));
});

test('a machine that cannot enforce says so once there is something to enforce, and runs pods', async t => {
  const { world, enforcer } = await start(t);
  enforcer.unavailable = 'nft is missing: install nftables';
  await world.startAgent({ policyEnforcer: enforcer });
  await world.createPod('web');
  await world.untilPod('web', 'is Running', ({ status }) => status?.phase === 'Running');
  // Of its start and that it is ready it tells too.
  const told = async () =>
    (await world.events('node-1')).filter(text => !/^(Starting|Node[A-Z]\w+): (Starting|Node )/.test(text));
  t.deepEqual(await told(), []);
  await world.client.create(networkpolicies, allowFrom('friend'));
  await until('the event is written', async () => (await told()).length > 0);
  t.deepEqual(await told(), [
    'NetworkPolicyNotEnforced: Network policies are not enforced on this node: nft is missing: install nftables',
  ]);
  t.is(enforcer.applied, 0);
});

test('a pod that came before it was known that the machine cannot enforce does not wait for its time to run out', async t => {
  const { world, enforcer } = await start(t);
  const looked = Promise.withResolvers<void>();
  enforcer.unavailable = 'nft is missing: install nftables';
  enforcer.looking = looked.promise;
  await world.startAgent({ policyEnforcer: enforcer });
  await world.createPod('web');
  await until('it has its address', () => world.network.addresses.size === 1);
  t.is(world.runtime.running('app'), undefined);
  looked.resolve();
  await until('it runs', () => world.runtime.running('app') !== undefined);
});

test('a new agent waits for the whole picture, and takes what runs under its rules', async t => {
  const { world, enforcer } = await start(t);
  await world.client.create(networkpolicies, allowFrom('friend'));
  await world.startAgent({ policyEnforcer: enforcer });
  await world.createPod('web');
  await passing(world, 'it runs', () => world.runtime.running('app') !== undefined);
  await world.agent?.close();
  t.false(enforcer.removed);
  const next = new MemoryEnforcer();
  await world.startAgent({ policyEnforcer: next });
  await passing(world, 'the rules stand', () => next.applied > 0);
  t.true(next.rules?.isolated.ingress.has('10.42.0.2'), 'the first rules are whole');
  t.is(world.runtime.calls.filter(call => call.startsWith('start ')).length, 1);
});
