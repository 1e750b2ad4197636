import test from 'ava';
import { cadvisorPage } from './cadvisor-page.ts';
import { resourcePage } from './pages.ts';
import { bareUsage, sampleUsage } from './test-usage.ts';

const machine = { cpuCount: 2, memoryBytes: 4_000 };
const linesOf = (page: string, name: string) =>
  page.split('\n').filter(line => line.startsWith(`${name}{`) || line.startsWith(`${name} `));

test('resources: containers, pods and node, with their times', t => {
  const page = resourcePage(sampleUsage);
  t.deepEqual(linesOf(page, 'container_swap_usage_bytes'), [
    'container_swap_usage_bytes{container="app",namespace="ns",pod="web"} 5 10000',
    'container_swap_usage_bytes{container="side",namespace="ns",pod="web"} 0 10000',
  ]);
  t.deepEqual(linesOf(page, 'pod_swap_usage_bytes'), ['pod_swap_usage_bytes{namespace="ns",pod="web"} 5 10000']);
  t.deepEqual(linesOf(page, 'node_swap_usage_bytes'), ['node_swap_usage_bytes 50 10000']);
  t.deepEqual(linesOf(page, 'pod_memory_working_set_bytes'), [
    'pod_memory_working_set_bytes{namespace="ns",pod="web"} 200 10000',
  ]);
  t.deepEqual(
    linesOf(page, 'container_start_time_seconds')[0],
    'container_start_time_seconds{container="app",namespace="ns",pod="web"} 2',
    'a start has no other time',
  );
  t.deepEqual(linesOf(resourcePage(bareUsage), 'container_swap_usage_bytes'), []);
});

test('cAdvisor: the machine, each pod with its network, each container', t => {
  const page = cadvisorPage(sampleUsage, machine);
  const root = 'container="",id="/",image="",name="",namespace="",pod=""';
  const pod = 'container="",id="/kubepods/podu1",image="",name="",namespace="ns",pod="web"';
  const app = 'container="app",id="/kubepods/podu1/id-app",image="app:1",name="id-app",namespace="ns",pod="web"';
  t.deepEqual(linesOf(page, 'container_cpu_usage_seconds_total').slice(0, 3), [
    `container_cpu_usage_seconds_total{${root},cpu="total"} 9 10000`,
    `container_cpu_usage_seconds_total{${pod},cpu="total"} 6 10000`,
    `container_cpu_usage_seconds_total{${app},cpu="total"} 3 10000`,
  ]);
  t.deepEqual(linesOf(page, 'container_network_transmit_bytes_total'), [
    `container_network_transmit_bytes_total{${root},interface="ens3"} 14 10000`,
    `container_network_transmit_bytes_total{${pod},interface="eth0"} 24 10000`,
  ]);
  t.true(page.includes(`container_memory_rss{${app}} 80 10000\n`));
  t.true(
    page.includes(`container_memory_failures_total{${app},failure_type="pgmajfault",scope="container"} 1 10000\n`),
  );
  t.deepEqual(
    linesOf(page, 'container_spec_memory_limit_bytes').map(line => line.split('} ')[1]),
    ['400 10000', '0 10000'],
  );
  t.deepEqual(linesOf(page, 'machine_cpu_cores'), ['machine_cpu_cores 2']);
  const bare = cadvisorPage(bareUsage, machine);
  t.is(linesOf(bare, 'container_memory_working_set_bytes').length, 3);
  t.is(linesOf(bare, 'container_processes').length, 0);
});
