/**
 * Sandboxes with an empty network namespace. The pod network is the agent's own (`node/network`), for every runtime
 * alike; but CRI runtimes make no namespace without a CNI plugin. So they are given one that brings up the loopback and
 * does nothing else; the agent then wires the namespace, which it finds by the sandbox's process.
 */
import { randomBytes } from 'node:crypto';
import { access, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { systemPath } from '../command.ts';

export interface CniDirectories {
  readonly plugins: string;
  readonly configurations: string;
}

const networkName = 'raftsman';
const pluginName = 'raftsman-sandbox';
const loopbackName = 'loopback';
/** Runtimes take the first configuration in the order of names. */
export const configurationName = '00-raftsman.conflist';
/** containerd wants an address to be told; nobody uses this one, which is for documentation (RFC 5737). */
const placeholderAddress = '198.51.100.1/32';
const cniVersion = '0.4.0';

export const configuration = `${JSON.stringify(
  { cniVersion, name: networkName, plugins: [{ type: pluginName }] },
  undefined,
  2,
)}\n`;

/** A CNI plugin (CNI specification 0.3 to 1.0) for any POSIX shell. */
export const plugin = `#!/bin/sh
# raftsman's CNI plugin: an empty network namespace with its loopback up. The raftsman agent wires it afterwards.
PATH=${systemPath}
input=$(cat)
version=$(printf '%s' "$input" | tr -d '\\n' | sed -n 's/.*"cniVersion"[[:space:]]*:[[:space:]]*"\\([0-9.]*\\)".*/\\1/p')
case "$CNI_COMMAND" in
VERSION)
  printf '{"cniVersion":"%s","supportedVersions":["0.3.0","0.3.1","0.4.0","1.0.0"]}\\n' "\${version:-${cniVersion}}"
  ;;
ADD)
  if ! message=$(nsenter --net="$CNI_NETNS" ip link set dev lo up 2>&1); then
    printf '{"cniVersion":"%s","code":100,"msg":"raftsman: the loopback cannot be brought up (needs iproute2 and util-linux)"}\\n' "\${version:-${cniVersion}}"
    exit 1
  fi
  printf '{"cniVersion":"%s","interfaces":[{"name":"%s","sandbox":"%s"}],"ips":[{"version":"4","address":"${placeholderAddress}","interface":0}]}\\n' \\
    "\${version:-${cniVersion}}" "$CNI_IFNAME" "$CNI_NETNS"
  ;;
esac
`;

/** Where a runtime looks, as it tells in its verbose status; undefined where it does not tell. */
export function cniDirectoriesIn(info: Readonly<Record<string, string>>): CniDirectories | undefined {
  const text = info.config;
  if (text === undefined) return undefined;
  return fromContainerd(text) ?? fromCrio(text);
}

interface ContainerdConfig {
  readonly cni?: { readonly binDir?: string; readonly binDirs?: readonly string[]; readonly confDir?: string };
}

/** containerd writes its configuration as JSON. */
function fromContainerd(text: string): CniDirectories | undefined {
  try {
    const { cni } = JSON.parse(text) as ContainerdConfig;
    const plugins = cni?.binDirs?.[0] ?? cni?.binDir;
    if (!plugins || !cni?.confDir) return undefined;
    return { plugins, configurations: cni.confDir };
  } catch {
    return undefined;
  }
}

/** CRI-O writes its own as TOML. */
function fromCrio(text: string): CniDirectories | undefined {
  const configurations = /^\s*network_dir\s*=\s*"([^"]+)"/m.exec(text)?.[1];
  const plugins = /^\s*plugin_dirs\s*=\s*\[\s*"([^"]+)"/m.exec(text)?.[1];
  return configurations && plugins ? { plugins, configurations } : undefined;
}

/** Writes the plugin and its configuration unless they are there. Rejects with the system's error. */
export async function installNetwork(directories: CniDirectories): Promise<void> {
  await mkdir(directories.plugins, { recursive: true });
  await mkdir(directories.configurations, { recursive: true });
  await writeIfOther(path.join(directories.plugins, pluginName), plugin, 0o755);
  // containerd runs this one too, for each sandbox; the usual one does the same.
  const loopback = path.join(directories.plugins, loopbackName);
  const hasLoopback = await access(loopback).then(
    () => true,
    () => false,
  );
  if (!hasLoopback) await writeIfOther(loopback, plugin, 0o755);
  await writeIfOther(path.join(directories.configurations, configurationName), configuration, 0o644);
}

/** Whole or not at all: a runtime may read it at any moment. */
async function writeIfOther(file: string, content: string, mode: number): Promise<void> {
  if ((await readFile(file, 'utf8').catch(() => undefined)) === content) return;
  const draft = `${file}.${randomBytes(4).toString('hex')}.new`;
  await writeFile(draft, content, { mode });
  await rename(draft, file);
}
