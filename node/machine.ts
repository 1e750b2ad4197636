/** Reads the facts of the machine that the node reports. */
import { readFile, statfs } from 'node:fs/promises';
import { arch, availableParallelism, hostname, networkInterfaces, platform, release, totalmem } from 'node:os';
import type { MachineFacts } from './node-status.ts';

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', arm: 'arm', arm64: 'arm64' };

/** `addresses` names the node's addresses where the caller knows them; else they are taken from the interfaces. */
export async function readMachine(options: { dataDir: string; addresses?: readonly string[] }): Promise<MachineFacts> {
  const disk = await statfs(options.dataDir).catch(() => undefined);
  const given = options.addresses ?? [];
  return {
    hostname: hostname(),
    addresses: given.length > 0 ? given : [firstAddress()],
    cpuCount: availableParallelism(),
    memoryBytes: totalmem(),
    diskBytes: disk ? disk.blocks * disk.bsize : 0,
    architecture: ARCHITECTURES[arch()] ?? arch(),
    operatingSystem: platform(),
    kernelVersion: release(),
    osImage: await osName(),
    machineId: await readLine('/etc/machine-id'),
    systemUuid: await readLine('/sys/class/dmi/id/product_uuid'),
    bootId: await readLine('/proc/sys/kernel/random/boot_id'),
  };
}

/** The first IPv4 address that others can reach; loopback where there is none. */
function firstAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap(list => list ?? []);
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1';
}

async function osName(): Promise<string> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '');
  return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(text)?.[1] ?? platform();
}

/** The file's first line; '' if it cannot be read, which containers and other systems make common. */
async function readLine(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.split('\n')[0]?.trim() ?? '';
}
