/** A containerd of the test's own: its directories, socket and network configuration are nobody else's. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { arch, tmpdir } from 'node:os';
import path from 'node:path';
import { busybox, busyboxLayer } from '../../testing/busybox-image.ts';
import { delay, systemClock } from '../clock.ts';
import { runCommand } from '../command.ts';
import { mayLowerOomScore } from '../oom-score.ts';
import { CriConnection, identify } from './connection.ts';
import { contentOf, importImage } from './containerd-import.ts';
import { CriImages } from './images.ts';

/** Nothing listens there: it can only be brought. */
export const sandboxImage = 'localhost:1/raftsman-test/pause:1';
const startTimeoutMs = 30_000;

/** Why there can be none here; undefined if there can. */
export function whyNoContainerd(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs Linux and root';
  if (!existsSync(busybox)) return 'needs busybox-static';
  for (const [program, at] of [
    ['containerd', ['/usr/bin/containerd', '/usr/local/bin/containerd']],
    ['runc', ['/usr/sbin/runc', '/usr/bin/runc', '/usr/local/sbin/runc', '/usr/local/bin/runc']],
  ] as const) {
    if (!at.some(file => existsSync(file))) return `needs ${program}`;
  }
  return undefined;
}

export class TestContainerd {
  readonly directory: string;
  #process: ChildProcess | undefined;

  private constructor(directory: string) {
    this.directory = directory;
  }

  get endpoint(): string {
    return `unix://${this.directory}/c.sock`;
  }

  /** Started, with CRI ready to answer. */
  static async start(): Promise<TestContainerd> {
    const found = new TestContainerd(await mkdtemp(path.join(tmpdir(), 'raftsman-containerd-')));
    for (const name of ['bin', 'net.d']) await mkdir(path.join(found.directory, name));
    await writeFile(
      path.join(found.directory, 'config.toml'),
      configuration(found.directory, await mayLowerOomScore()),
    );
    await found.resume();
    return found;
  }

  /** Starts the process (again). */
  async resume(): Promise<void> {
    const log = await open(path.join(this.directory, 'log'), 'a');
    const child = spawn('containerd', ['--config', path.join(this.directory, 'config.toml')], {
      stdio: ['ignore', log.fd, log.fd],
    });
    await log.close();
    this.#process = child;
    const connection = new CriConnection(this.endpoint, systemClock);
    const deadline = Date.now() + startTimeoutMs;
    try {
      for (;;) {
        try {
          await identify(connection);
          return;
        } catch (error) {
          if (child.exitCode !== null || Date.now() > deadline) {
            const tail = (await readFile(path.join(this.directory, 'log'), 'utf8')).slice(-2000);
            throw new Error(`containerd does not start: ${tail}`, { cause: error });
          }
        }
        await delay(systemClock, 50);
      }
    } finally {
      connection.close();
    }
  }

  /** Ends the process; its containers run on. */
  async interrupt(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const ended = new Promise(resolve => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }

  /** An image of busybox under this full name; with another environment it is another image. */
  async importBusybox(name: string, environment: Readonly<Record<string, string>> = {}): Promise<void> {
    const connection = new CriConnection(this.endpoint, systemClock);
    try {
      const layer = await busyboxLayer();
      const config = Buffer.from(
        JSON.stringify({
          architecture: arch() === 'x64' ? 'amd64' : arch(),
          os: 'linux',
          config: {
            Cmd: ['sh'],
            Env: Object.entries({ PATH: '/usr/bin:/bin', ...environment }).map(one => one.join('=')),
          },
          rootfs: { type: 'layers', diff_ids: [`sha256:${createHash('sha256').update(layer).digest('hex')}`] },
        }),
      );
      const parts = { config, layers: [contentOf(layer)] };
      await importImage({ connection, clock: systemClock }, [name], parts);
      const deadline = Date.now() + startTimeoutMs;
      while ((await new CriImages(connection).status(name)) === undefined) {
        if (Date.now() > deadline) throw new Error(`${name} does not appear`);
        await delay(systemClock, 50);
      }
    } finally {
      connection.close();
    }
  }

  async remove(): Promise<void> {
    await this.interrupt('SIGTERM');
    const mounts = (await readFile('/proc/mounts', 'utf8')).split('\n').map(line => line.split(' ')[1] ?? '');
    for (const mount of mounts.filter(one => one.startsWith(`${this.directory}/`)).reverse()) {
      await runCommand('umount', ['--lazy', mount]);
    }
    await rm(this.directory, { recursive: true, force: true });
  }
}

function configuration(directory: string, mayLower: boolean): string {
  return `version = 2
root = "${directory}/root"
state = "${directory}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "${directory}/c.sock"
[ttrpc]
  address = "${directory}/c.sock.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "${directory}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${sandboxImage}"
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  restrict_oom_score_adj = ${!mayLower}
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${directory}/bin"
    conf_dir = "${directory}/net.d"
`;
}
