/** What a cluster could leave behind on its machine, for tests that compare before and after. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestCluster } from './cluster.ts';
import { run } from './run.ts';

/** Everything on this machine that a cluster could leave behind, as sorted lines. */
export async function remains(cluster: TestCluster): Promise<Readonly<Record<string, readonly string[]>>> {
  const lines = async (command: string, args: readonly string[]) => {
    const { code, stdout } = await run(command, args);
    return code === 0 ? stdout.split('\n').filter(Boolean).sort() : [];
  };
  const mounts = (await readFile('/proc/mounts', 'utf8')).split('\n').filter(line => line.includes(cluster.directory));
  return {
    processes: await cluster.processes(),
    containers: await lines('docker', ['ps', '-a', '-q', '--no-trunc']),
    links: (await lines('ip', ['-o', 'link'])).map(line => line.split(':')[1]?.trim() ?? '').sort(),
    namespaces: await lines('ip', ['netns', 'list']),
    addresses: (await lines('ip', ['-4', '-o', 'addr', 'show', 'dev', 'lo'])).map(line => line.replace(/\s+/g, ' ')),
    routes: await lines('ip', ['route']),
    nftables: (await lines('nft', ['list', 'tables'])).filter(line => !/ (nat|filter|mangle|raw)$/.test(line)),
    forwardRules: (await lines('iptables', ['-S', 'FORWARD'])).concat(await lines('iptables', ['-S', 'DOCKER-USER'])),
    mounts,
    cgroups: await ownGroups(),
  };
}

const CGROUPS = '/sys/fs/cgroup';

/** The native runtime's groups: below one parent, in each hierarchy of version 1 or in that of version 2. */
async function ownGroups(): Promise<readonly string[]> {
  const hierarchies = (await readdir(CGROUPS).catch(() => [])).map(name => join(CGROUPS, name));
  const found = await Promise.all(
    [CGROUPS, ...hierarchies].map(async hierarchy => {
      const parent = join(hierarchy, 'raftsman');
      const groups = await readdir(parent, { withFileTypes: true }).catch(() => []);
      return groups.filter(group => group.isDirectory()).map(group => join(parent, group.name));
    }),
  );
  return found.flat().sort();
}
