/** Reads the facts of the machine that the node reports. */
import { readFile, statfs } from 'node:fs/promises';
import { arch, availableParallelism, hostname, networkInterfaces, platform, release, totalmem } from 'node:os';
import type { MachineFacts } from './node-status.ts';

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', arm: 'arm', arm64: 'arm64' };

export interface MachineOptions {
  readonly dataDir: string;
  /** The node's addresses where the caller knows them; else they are taken from the interfaces. */
  readonly addresses?: readonly string[];
  /** Whether an IPv6 address is looked for too. */
  readonly hasBothFamilies?: boolean;
}

export async function readMachine(options: MachineOptions): Promise<MachineFacts> {
  const disk = await statfs(options.dataDir).catch(() => undefined);
  const given = options.addresses ?? [];
  return {
    hostname: hostname(),
    addresses: given.length > 0 ? given : ownAddresses(options.hasBothFamilies ?? false),
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
    hasAppArmor: (await readLine('/sys/module/apparmor/parameters/enabled')) === 'Y',
  };
}

/** The first IPv4 address that others can reach, loopback where there is none; and IPv6 of the same interface, if it has any. */
function ownAddresses(hasBothFamilies: boolean): readonly string[] {
  const links = Object.values(networkInterfaces()).map(list => list ?? []);
  for (const link of links) {
    const first = link.find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
    if (first === undefined) continue;
    const second = link.find(({ family, address }) => family === 'IPv6' && !address.startsWith('fe80'))?.address;
    return hasBothFamilies && second !== undefined ? [first, second] : [first];
  }
  return ['127.0.0.1'];
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
