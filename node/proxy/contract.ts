/**
 * What every service proxy does, as tests: real connections in the world of `test-world.ts`.
 */
import type { ExecutionContext, TestFn } from 'ava';
import { namespacesUnavailable } from '../network/test-namespaces.ts';
import type { ServicePort } from './proxy.ts';
import { clusterIP, machineAddress, nodePort, type ProxyHarness, serverPort, World } from './test-world.ts';

function service(
  change: Partial<ServicePort> & { readonly to?: readonly { readonly address: string }[] },
): ServicePort {
  const { to = [], ...rest } = change;
  return {
    id: 'default/web:http',
    protocol: 'TCP',
    clusterIPs: [clusterIP],
    port: 80,
    nodePort: 0,
    externalIPs: [],
    affinitySeconds: 0,
    localOnly: false,
    internalLocalOnly: false,
    endpoints: to.map(({ address }) => ({ address, port: serverPort, local: true, cluster: true })),
    ...rest,
  };
}

const names = (answers: readonly string[]) => answers.map(answer => answer.split(' ')[0]).sort();
const distinct = (answers: readonly string[]) => [...new Set(names(answers))];

/** Registers the suite's tests. */
export function proxyContract(test: TestFn, harness: ProxyHarness): void {
  const unavailable = namespacesUnavailable(harness.programs);
  if (unavailable !== undefined) {
    test.skip(`the proxy's contract: ${unavailable}`, t => t.pass());
    return;
  }
  const add = (title: string, check: (t: ExecutionContext, world: World) => Promise<void>) =>
    test.serial(title, async t => {
      t.timeout(60_000);
      await check(t, await World.make(t, harness));
    });
  reachTests(add);
  changeTests(add);
  policyTests(add);
}

type Add = (title: string, check: (t: ExecutionContext, world: World) => Promise<void>) => void;

function reachTests(add: Add): void {
  add(
    'a cluster address leads to all endpoints, from the machine, from a pod, and from an endpoint itself',
    async (t, world) => {
      const [one, two, client] = [await world.server('one'), await world.server('two'), await world.pod('client')];
      const proxy = await world.proxy('a');
      for (const protocol of ['TCP', 'UDP'] as const) {
        await proxy.sync(service({ protocol, to: [one, two] }));
        for (const from of [world.machine, client.namespace, one.namespace]) {
          t.deepEqual(distinct(await world.ask(from, protocol, `${clusterIP}:80`, 24)), ['one', 'two'], protocol);
        }
      }
    },
  );

  add('a node port answers on the machine, also on 127.0.0.1, and to pods', async (t, world) => {
    const [one, client] = [await world.server('one'), await world.pod('client')];
    const proxy = await world.proxy('a');
    for (const protocol of ['TCP', 'UDP'] as const) {
      await proxy.sync(service({ protocol, nodePort, to: [one] }));
      for (const host of ['127.0.0.1', machineAddress]) {
        t.deepEqual(
          names(await world.ask(world.machine, protocol, `${host}:${nodePort}`)),
          ['one'],
          `${protocol} ${host}`,
        );
      }
      t.deepEqual(names(await world.ask(client.namespace, protocol, `${machineAddress}:${nodePort}`)), ['one']);
    }
  });

  add('a service without endpoints refuses at once, and so does a port that no service has', async (t, world) => {
    const client = await world.pod('client');
    const proxy = await world.proxy('a');
    await proxy.sync(service({ nodePort }));
    for (const from of [world.machine, client.namespace]) {
      for (const target of [`${clusterIP}:80`, `${clusterIP}:81`, `${machineAddress}:${nodePort}`]) {
        t.deepEqual(await world.ask(from, 'TCP', target), ['ECONNREFUSED'], target);
      }
    }
  });

  add('an external address of the machine leads to the service', async (t, world) => {
    const one = await world.server('one');
    const proxy = await world.proxy('a');
    await proxy.sync(service({ externalIPs: [machineAddress], to: [one] }));
    t.deepEqual(names(await world.ask(world.machine, 'TCP', `${machineAddress}:80`)), ['one']);
  });

  add('a host port is one of all the machine’s addresses, a node port of the node’s own', async (t, world) => {
    const [one, client] = [await world.server('one'), await world.pod('client')];
    const proxy = await world.proxy('a');
    const elsewhere = '192.168.78.1';
    for (const address of [`${elsewhere}/32`, '127.0.0.2/8'])
      await world.machine.run('ip', ['address', 'add', address, 'dev', 'wire0']);
    const asked = async () => {
      const answers: string[] = [];
      for (const host of [machineAddress, '127.0.0.1', elsewhere, '127.0.0.2'])
        answers.push(...names(await world.ask(world.machine, 'TCP', `${host}:${nodePort}`)));
      return [...answers, ...names(await world.ask(client.namespace, 'TCP', `${elsewhere}:${nodePort}`))];
    };
    const refused = 'ECONNREFUSED';
    await proxy.sync(service({ clusterIPs: [], nodePort, localOnly: true, to: [one] }));
    t.deepEqual(await asked(), ['one', 'one', refused, refused, refused]);
    // A process could listen there too, but would not learn of addresses that come.
    const there = world.harness.kind === 'nftables' ? 'one' : refused;
    await proxy.sync(service({ clusterIPs: [], nodePort, everyAddress: true, localOnly: true, to: [one] }));
    t.deepEqual(await asked(), ['one', 'one', there, refused, there]);
  });

  add('a port without endpoints refuses what begins, and no reply to who sends from that port', async (t, world) => {
    const one = await world.server('one');
    await (await world.proxy('a')).sync(service({ nodePort }));
    const script = `require('node:net').connect({ host: '${one.address}', port: ${serverPort}, localAddress: '${machineAddress}',
      localPort: ${nodePort}, timeout: 3000 }).on('timeout', () => process.exit(1)).pipe(process.stdout)`;
    const { stdout } = await world.machine.run(process.execPath, ['-e', script]);
    t.is(stdout, `one ${machineAddress}`);
  });

  add('a client with affinity stays with its endpoint, also over a change', async (t, world) => {
    const servers = [await world.server('one'), await world.server('two'), await world.server('three')];
    const client = await world.pod('client');
    const proxy = await world.proxy('a');
    await proxy.sync(service({ affinitySeconds: 60, to: servers }));
    const first = distinct(await world.ask(client.namespace, 'TCP', `${clusterIP}:80`, 12));
    t.is(first.length, 1);
    await proxy.sync(
      service({ affinitySeconds: 60, to: servers }),
      service({ id: 'other', clusterIPs: ['10.43.0.11'] }),
    );
    t.deepEqual(distinct(await world.ask(client.namespace, 'TCP', `${clusterIP}:80`, 12)), first);
  });
}

/** Where a pod stands, as the planner would judge it. */
const at = ({ address }: { readonly address: string }, judged: { local: boolean; cluster?: boolean }) => ({
  ...{ address, port: serverPort, cluster: true },
  ...judged,
});

/** Two servers, a pod that asks them, a client outside the cluster, and the proxy between. */
async function policyWorld(world: World) {
  const [one, two, client] = [await world.server('one'), await world.server('two'), await world.pod('client')];
  return { one, two, client, outsider: await world.outsider(), proxy: await world.proxy('a') };
}

function policyTests(add: Add): void {
  add(
    'internalTrafficPolicy: Local narrows the cluster address, not node ports and external addresses',
    async (t, world) => {
      const { one, two, client, outsider, proxy } = await policyWorld(world);
      for (const protocol of ['TCP', 'UDP'] as const) {
        await proxy.sync(
          service({
            ...{ protocol, nodePort, externalIPs: [machineAddress], internalLocalOnly: true },
            endpoints: [at(one, { local: true }), at(two, { local: false })],
          }),
        );
        for (const from of [world.machine, client.namespace]) {
          t.deepEqual(distinct(await world.ask(from, protocol, `${clusterIP}:80`, 24)), ['one'], protocol);
        }
        for (const from of [world.machine, client.namespace, outsider]) {
          for (const target of [`${machineAddress}:${nodePort}`, `${machineAddress}:80`]) {
            t.deepEqual(distinct(await world.ask(from, protocol, target, 24)), ['one', 'two'], `${protocol} ${target}`);
          }
        }
      }
    },
  );

  add(
    'externalTrafficPolicy: Local keeps what comes from outside here; pods and the machine reach all',
    async (t, world) => {
      const { one, two, client, outsider, proxy } = await policyWorld(world);
      for (const protocol of ['TCP', 'UDP'] as const) {
        await proxy.sync(
          service({
            ...{ protocol, nodePort, externalIPs: [machineAddress], localOnly: true },
            endpoints: [at(one, { local: true, cluster: false }), at(two, { local: false })],
          }),
        );
        for (const target of [`${machineAddress}:${nodePort}`, `${machineAddress}:80`]) {
          const seen = [world.machine, client.namespace, outsider].map(from => world.ask(from, protocol, target, 12));
          t.deepEqual((await Promise.all(seen)).map(distinct), [['two'], ['two'], ['one']], `${protocol} ${target}`);
        }
        t.deepEqual(distinct(await world.ask(client.namespace, protocol, `${clusterIP}:80`, 12)), ['two'], protocol);
      }
    },
  );

  add('without endpoints on the node, what has to stay there gets no answer', async (t, world) => {
    const [one, client] = [await world.server('one'), await world.pod('client')];
    const outsider = await world.outsider();
    const proxy = await world.proxy('a');
    const policies = { nodePort, localOnly: true, internalLocalOnly: true };
    await proxy.sync(service({ ...policies, endpoints: [at(one, { local: false })] }));
    // Only the kernel can leave a connection without an answer.
    const [inside, outside] =
      world.harness.kind === 'nftables' ? ['TIMEOUT', 'TIMEOUT'] : ['ECONNREFUSED', 'ECONNRESET'];
    t.deepEqual(await world.ask(client.namespace, 'TCP', `${clusterIP}:80`), [inside]);
    t.deepEqual(await world.ask(outsider, 'TCP', `${machineAddress}:${nodePort}`), [outside]);
    t.deepEqual(names(await world.ask(client.namespace, 'TCP', `${machineAddress}:${nodePort}`)), ['one']);
    await proxy.sync(service(policies));
    t.deepEqual(await world.ask(client.namespace, 'TCP', `${clusterIP}:80`), ['ECONNREFUSED']);
    t.deepEqual(await world.ask(outsider, 'TCP', `${machineAddress}:${nodePort}`), ['ECONNREFUSED']);
  });

  add("a load balancer's address answers only clients of its ranges; all else answers everybody", async (t, world) => {
    const [one, client] = [await world.server('one'), await world.pod('client')];
    const clients = { outsider: await world.outsider(), client: client.namespace, machine: world.machine };
    const protocols = ['TCP', 'UDP'] as const;
    const everybody = protocols.flatMap(protocol => Object.keys(clients).map(name => `${name} ${protocol}`));
    const refusals = world.harness.kind === 'nftables' ? ['TIMEOUT', 'EPERM'] : ['TIMEOUT', 'ECONNRESET'];
    const proxy = await world.proxy('a');
    /** Who is answered. */
    const answered = async (target: string): Promise<string[]> => {
      const asked = everybody.map(async who => {
        const [name, protocol] = who.split(' ') as [keyof typeof clients, (typeof protocols)[number]];
        const [answer = ''] = names(await world.ask(clients[name], protocol, target));
        t.true(['one', ...refusals].includes(answer), `${who}: ${answer}`);
        return answer === 'one' ? [who] : [];
      });
      return (await Promise.all(asked)).flat();
    };
    /** Each is a small change of what is there. */
    const limitTo = (sources: readonly string[] | undefined) =>
      proxy.sync(
        ...protocols.map(protocol => {
          const limit = sources && { limit: { addresses: [machineAddress], sources } };
          return service({ id: protocol, protocol, nodePort, externalIPs: [machineAddress], ...limit, to: [one] });
        }),
      );
    const of = (...some: readonly string[]) => everybody.filter(who => some.some(name => who.startsWith(name)));
    const balanced = `${machineAddress}:80`;
    for (const [sources, expected] of [
      [undefined, everybody],
      [['203.0.113.0/24', '192.168.77.2/32'], of('outsider')],
      [['10.42.0.0/16'], of('client')],
      [['192.168.77.0/24', '192.168.0.0/16'], of('outsider', 'machine')],
      [['fd42::/64'], everybody],
      [['203.0.113.0/24'], []],
    ] as const) {
      await limitTo(sources);
      t.deepEqual(await answered(balanced), expected, String(sources));
    }
    t.deepEqual(await answered(`${machineAddress}:${nodePort}`), everybody);
    t.deepEqual(names(await world.ask(client.namespace, 'TCP', `${clusterIP}:80`)), ['one']);
  });

  add('of two nodes on one machine the one with an endpoint answers', async (t, world) => {
    const [one, client] = [await world.server('one'), await world.pod('client')];
    const outsider = await world.outsider();
    const [first, second] = [await world.proxy('a'), await world.proxy('b')];
    const policies = { nodePort, internalLocalOnly: true, localOnly: world.harness.kind === 'nftables' };
    await first.sync(service({ ...policies, endpoints: [at(one, { local: false })] }));
    await second.sync(service({ ...policies, endpoints: [at(one, { local: true })] }));
    t.deepEqual(distinct(await world.ask(client.namespace, 'TCP', `${clusterIP}:80`, 12)), ['one']);
    t.deepEqual(distinct(await world.ask(outsider, 'TCP', `${machineAddress}:${nodePort}`, 12)), ['one']);
  });
}

function changeTests(add: Add): void {
  add('endpoints come and go; open ports follow', async (t, world) => {
    const [one, two] = [await world.server('one'), await world.server('two')];
    const proxy = await world.proxy('a');
    const ask = () => world.ask(world.machine, 'TCP', `${clusterIP}:80`, 10);
    await proxy.sync(service({ to: [one] }));
    t.deepEqual(distinct(await ask()), ['one']);
    await proxy.sync(service({ to: [two] }));
    t.deepEqual(distinct(await ask()), ['two']);
    await proxy.sync(service({ to: [one], id: 'default/renamed' }));
    t.deepEqual(distinct(await ask()), ['one']);
    await proxy.sync();
    t.notDeepEqual(distinct(await world.ask(world.machine, 'TCP', `${clusterIP}:80`)), ['one']);
  });

  add('while services and their endpoints change, no client is refused', async (t, world) => {
    const [one, two] = [await world.server('one'), await world.server('two')];
    const proxy = await world.proxy('a');
    await proxy.sync(service({ to: [one] }));
    const answers: string[] = [];
    let isOver = false;
    const asked = (async () => {
      while (!isOver) answers.push(...(await world.ask(world.machine, 'TCP', `${clusterIP}:80`, 50)));
    })();
    for (let round = 0; round < 30 || answers.length === 0; round++) {
      const to = [[one], [one, two], [two]][round % 3] ?? [];
      const others = Array.from({ length: round % 5 }, (_, index) =>
        service({ id: `other-${index}`, clusterIPs: [`10.43.0.${20 + index}`], to }),
      );
      await proxy.sync(...others, service({ to, affinitySeconds: round % 2 }));
    }
    isOver = true;
    await asked;
    t.deepEqual(
      names(answers).filter(name => name !== 'one' && name !== 'two'),
      [],
    );
  });

  add('two nodes on one machine do not disturb each other', async (t, world) => {
    const one = await world.server('one');
    const ports = service({ nodePort, to: [one] });
    const [first, second] = [await world.proxy('a'), await world.proxy('b')];
    await first.sync(ports);
    await second.sync(ports);
    const ask = async () => {
      const answers = [];
      for (const target of [`${clusterIP}:80`, `127.0.0.1:${nodePort}`]) {
        answers.push(...names(await world.ask(world.machine, 'TCP', target, 4)));
      }
      return [...new Set(answers)];
    };
    t.deepEqual(await ask(), ['one']);
    await first.tell({ call: 'close', remove: true });
    t.deepEqual(await ask(), ['one']);
    await second.tell({ call: 'close', remove: true });
    t.notDeepEqual(await ask(), ['one']);
  });

  add('close with remove leaves nothing on the machine', async (t, world) => {
    const { run } = world.machine;
    const traces = async () => {
      const asked = [
        // IPv4 only: link-local IPv6 addresses settle in their own time.
        ['ip', '-4', 'route', 'show', 'table', 'all'],
        ['ip', '-4', '-o', 'address'],
        ['nft', 'list', 'ruleset'],
        ['cat', '/proc/sys/net/ipv4/conf/all/route_localnet'],
      ] as const;
      const parts = [];
      for (const [program, ...args] of asked) parts.push((await run(program, args)).stdout);
      return parts.join('\n');
    };
    const one = await world.server('one');
    const before = await traces();
    const proxy = await world.proxy('a');
    await proxy.sync(service({ nodePort, affinitySeconds: 10, to: [one] }));
    t.not(await traces(), before);
    await proxy.tell({ call: 'close', remove: true });
    t.is(await traces(), before);
  });

  add('a restarted proxy takes over what the one before left', async (t, world) => {
    const [one, two] = [await world.server('one'), await world.server('two')];
    const first = await world.proxy('a');
    await first.sync(service({ to: [one], nodePort, affinitySeconds: 60 }));
    first.kill();
    const second = await world.proxy('a');
    await second.sync(service({ to: [two] }));
    t.deepEqual(distinct(await world.ask(world.machine, 'TCP', `${clusterIP}:80`, 5)), ['two']);
    t.deepEqual(await world.ask(world.machine, 'TCP', `${machineAddress}:${nodePort}`), ['ECONNREFUSED']);
    await second.tell({ call: 'close', remove: true });
    const left = (await world.machine.run('nft', ['list', 'tables'])).stdout;
    t.notRegex(left, /raftsman-svc/);
  });
}
