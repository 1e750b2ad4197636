/** What every runtime makes of an image: how its containers run, and with which rights. Part of the runtime's contract. */
import { constants } from 'node:fs';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { TestFn } from 'ava';
import { busyboxEntries, type Entry, imageOf, savedImage, tarOf } from '../testing/image-archive.ts';
import { type ContainerSpec, ImagePullError } from './runtime.ts';
import { eventually, type Fixture, type RuntimeHarness, register } from './testing/fixture.ts';

/** What Docker gives a container that asks for nothing. */
const defaultCapabilities = '00000000a80425fb';
const netBindService = '0000000000000400';
const none = '0000000000000000';

let images = 0;

/** An image of busybox with a configuration; gives its name. */
async function importImage(fixture: Fixture, config: Record<string, unknown>, more: readonly Entry[] = []) {
  images += 1;
  const name = `raftsman-test/image-${process.pid}-${images}:1`;
  const layers = [await tarOf(busyboxEntries()), await tarOf(more)];
  await fixture.runtime.importImages?.(
    Readable.from([await savedImage(name, imageOf(layers, { ...config, Labels: { test: name } }))]),
  );
  return name;
}

/** Runs a container of the image to its end and gives its output. */
async function outputOf(fixture: Fixture, image: string, change: Partial<ContainerSpec> = {}): Promise<string> {
  const sandbox = await fixture.sandbox();
  const bare = { image, command: undefined, args: undefined };
  const id = await fixture.container(sandbox.id, { does: 'run' }, { ...bare, ...change });
  await fixture.runtime.startContainer(id);
  await fixture.exited(id);
  const output = await fixture.output(id);
  await fixture.runtime.removeContainer(id);
  return output;
}

async function machineHasAllCapabilities(): Promise<boolean> {
  const status = await readFile('/proc/self/status', 'utf8');
  const mask = BigInt(`0x${/^CapBnd:\s+(\w+)/m.exec(status)?.[1] ?? '0'}`);
  // Without a gap.
  return (mask & (mask + 1n)) === 0n;
}

/** A device of the machine that its root can open, and no container. */
async function openableDevice() {
  for (const path of ['/dev/loop0', '/dev/hwrng', '/dev/fuse', '/dev/net/tun']) {
    try {
      await using file = await open(path, 'r');
      const { rdev, mode } = await file.stat();
      const type: 'block-device' | 'character-device' =
        (mode & constants.S_IFMT) === constants.S_IFBLK ? 'block-device' : 'character-device';
      return { path, type, major: (rdev >> 8) & 0xfff, minor: rdev & 0xff };
    } catch {
      // It is not there, or of a machine inside another one: then the next.
    }
  }
  return undefined;
}

export function imageContract(test: TestFn, harness: RuntimeHarness): void {
  const add = register(test, harness);

  add('an image says how its containers run; the container has the last word', async (t, fixture) => {
    const image = await importImage(fixture, {
      Entrypoint: ['sh', '-c'],
      Cmd: ['echo "$A $B"; pwd; id -u; id -g; id -G; echo "$HOME"'],
      Env: ['A=1', 'B=2'],
      WorkingDir: '/work/dir',
      User: 'app',
    });
    const env = [{ name: 'B', value: '3' }];
    t.is(await outputOf(fixture, image, { env }), '1 3\n/work/dir\n1000\n1001\n1001 1002\n/home/app\n');
    t.is(await outputOf(fixture, image, { args: ['id -un'] }), 'app\n');
    t.is(await outputOf(fixture, image, { command: ['pwd'] }), '/work/dir\n', 'the image’s command is not for another');
    const security = { user: 7, group: 8, supplementalGroups: [9, 10] };
    t.is(await outputOf(fixture, image, { security, args: ['id -u; id -g; id -G'] }), '7\n8\n8 9 10\n');
    await fixture.runtime.removeImage?.(image);
  });

  add('a user that the image does not know is told', async (t, fixture) => {
    const image = await importImage(fixture, { Entrypoint: ['true'], User: 'nobody-knows' });
    const error = await t.throwsAsync(outputOf(fixture, image));
    t.regex(error?.message ?? '', /unable to find user nobody-knows: no matching entries in passwd file/);
    for (const sandbox of await fixture.runtime.list()) await fixture.runtime.removeSandbox(sandbox.id);
    await fixture.runtime.removeImage?.(image);
  });

  add('stopping sends the signal that the image asks for', async (t, fixture) => {
    const image = await importImage(fixture, { StopSignal: 'SIGINT' });
    const sandbox = await fixture.sandbox();
    const script = 'trap "exit 9" INT; trap "exit 8" TERM; echo ready; while :; do sleep 0.1; done';
    const id = await fixture.shell(sandbox.id, script, { image });
    await eventually(async () => ((await fixture.output(id)) === 'ready\n' ? true : undefined));
    await fixture.runtime.stopContainer(id, 20);
    t.is((await fixture.exited(id)).exitCode, 9);
  });

  add('rights: capabilities, new privileges, system calls', async (t, fixture) => {
    const image = await importImage(fixture, {});
    const see = async (security: ContainerSpec['security']) => {
      const command = ['grep', '-E', '^(CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):', '/proc/self/status'];
      const lines = (await outputOf(fixture, image, { command, security })).trim().split('\n');
      return Object.fromEntries(lines.map(line => line.split(/:\s+/)));
    };
    const usual = { CapEff: defaultCapabilities, CapBnd: defaultCapabilities, CapAmb: none, NoNewPrivs: '0' };
    t.like(await see({}), { ...usual, Seccomp: '2' });
    const few = { dropCapabilities: ['ALL'], addCapabilities: ['NET_BIND_SERVICE'], allowPrivilegeEscalation: false };
    t.like(await see(few), { CapEff: netBindService, CapBnd: netBindService, NoNewPrivs: '1' });
    t.like(await see({ user: 1000 }), { CapEff: none, CapBnd: defaultCapabilities });
    // Docker's engine wants all of them, and not every machine has them to give.
    if (fixture.runtime.name === 'docker' && !(await machineHasAllCapabilities())) return;
    const privileged = await see({ privileged: true });
    t.is(privileged.Seccomp, '0');
    t.true(BigInt(`0x${privileged.CapEff}`) > BigInt(`0x${defaultCapabilities}`));
  });

  add('a seccomp profile of the node decides which calls a container may make', async (t, fixture) => {
    const image = await importImage(fixture, {});
    const profile = {
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [
        { names: ['mkdir', 'mkdirat', 'no_such_call'], action: 'SCMP_ACT_ERRNO', errnoRet: 28 },
        // Of kill(2) only that with signal 10 (USR1).
        { names: ['kill'], action: 'SCMP_ACT_ERRNO', args: [{ index: 1, value: 10, op: 'SCMP_CMP_EQ' }] },
      ],
    };
    const seccompProfile = JSON.stringify(profile);
    const seccompProfilePath = join(await fixture.scratch(t), 'profile.json');
    await writeFile(seccompProfilePath, seccompProfile);
    const script =
      'trap "" USR1; mkdir /tmp/x 2>&1; touch /tmp/y && echo made; kill -USR1 $$ 2>&1; kill -0 $$ && echo there';
    const command = ['sh', '-c', script];
    const output = await outputOf(fixture, image, { command, security: { seccompProfile, seccompProfilePath } });
    const [folder = '', ...rest] = output.trim().split('\n');
    t.regex(folder, /No space left on device/);
    t.is(rest.shift(), 'made');
    t.regex(rest.shift() ?? '', /not permitted/);
    t.deepEqual(rest, ['there']);
  });

  add('root inside can not change the machine', async (t, fixture) => {
    const image = await importImage(fixture, {});
    const sandbox = await fixture.sandbox();
    const id = await fixture.shell(sandbox.id, 'sleep 1000', { image });
    for (const script of [
      'mount -t tmpfs none /tmp',
      'echo 1 > /proc/sys/kernel/panic',
      'echo c > /proc/sysrq-trigger',
      'unshare -m true',
      'test -n "$(head -c 1 /proc/kcore)"',
      'reboot -f',
      'hostname other',
      'test -e /dev/vda || test -e /dev/sda || test -e /dev/mem',
    ]) {
      t.not((await fixture.exec(id, script)).code, 0, script);
    }
    t.is((await fixture.exec(id, 'echo x > /dev/null; echo x > /dev/shm/x; cat /dev/shm/x')).stdout, 'x\n');
    t.is((await fixture.exec(id, 'ls -d /.raftsman* 2>/dev/null | wc -l')).stdout.trim(), '0');
  });

  add('device nodes that a container makes, or its image brings, open nothing of the machine', async (t, fixture) => {
    const device = await openableDevice();
    if (device === undefined) {
      t.pass('there is nothing to be opened');
      return;
    }
    const { type, major, minor } = device;
    const brought = { name: 'brought', type, mode: 0o666, devmajor: major, devminor: minor };
    const image = await importImage(fixture, {}, [brought]);
    const directory = await fixture.scratch(t);
    const mount = { readOnly: false, propagation: 'private' } as const;
    const mounts = [
      { ...mount, hostPath: `${directory}/rw`, containerPath: '/volume' },
      { ...mount, hostPath: device.path, containerPath: '/given' },
    ];
    const sandbox = await fixture.sandbox();
    const id = await fixture.shell(sandbox.id, 'sleep 1000', { image, mounts });
    const opens = async (path: string) => (await fixture.exec(id, `: < ${path}`)).code === 0;
    t.false(await opens('/brought'), 'of the image');
    t.false(await opens('/given'), 'of a hostPath');
    for (const place of ['/tmp', '/dev', '/dev/shm', '/volume']) {
      await fixture.exec(id, `mknod ${place}/made ${type === 'block-device' ? 'b' : 'c'} ${major} ${minor}`);
      t.false(await opens(`${place}/made`), place);
    }
    for (const name of ['null', 'zero', 'full', 'random', 'urandom']) t.true(await opens(`/dev/${name}`), name);
  });

  add('links in an image lead to its own files, also for mounts (CVE-2021-30465)', async (t, fixture) => {
    const directory = await fixture.scratch(t);
    const image = await importImage(fixture, {}, [
      { name: `${directory.slice(1)}/rw`, type: 'directory', mode: 0o755 },
      { name: 'out', type: 'symlink', linkname: `${directory}/rw` },
      { name: 'up', type: 'symlink', linkname: '../../../../../../../tmp' },
      { name: 'etc/resolv.conf', type: 'symlink', linkname: '../run/nowhere/resolv.conf' },
    ]);
    const sandbox = await fixture.sandbox();
    const mount = (containerPath: string) => {
      return { hostPath: `${directory}/ro`, containerPath, readOnly: true, propagation: 'private' } as const;
    };
    const resolvConf = { ...mount('/etc/resolv.conf'), hostPath: `${directory}/ro/file` };
    const mounts = [mount('/out/inside'), mount('/up/inside'), resolvConf];
    const id = await fixture.shell(sandbox.id, 'cat /out/inside/file /tmp/inside/file /etc/resolv.conf', {
      image,
      mounts,
    });
    await fixture.exited(id);
    t.is(await fixture.output(id), 'fixed\nfixed\nfixed\n');
    await t.throwsAsync(fixture.read(`${directory}/rw/inside/file`), { code: 'ENOENT' });
    await t.throwsAsync(fixture.read('/tmp/inside/file'), { code: 'ENOENT' });
  });

  add('what an image calls a volume can be written below a read-only root', async (t, fixture) => {
    const image = await importImage(fixture, { Volumes: { '/data': {} } });
    const security = { readOnlyRootFilesystem: true };
    const command = ['sh', '-c', 'echo x > /data/file && cat /data/file; (echo y > /file) 2>/dev/null || echo refused'];
    t.is(await outputOf(fixture, image, { command, security }), 'x\nrefused\n');
  });

  add('what a container logs and writes on the disk is told, its mounts are not', async (t, fixture) => {
    const image = await importImage(fixture, {});
    const sandbox = await fixture.sandbox();
    const directory = await fixture.scratch(t);
    const mount = { hostPath: `${directory}/rw`, containerPath: '/volume', readOnly: false } as const;
    const id = await fixture.shell(
      sandbox.id,
      `head -c 3000000 /dev/urandom > /file; head -c 9000000 /dev/urandom > /volume/file
      yes 0123456789 | head -c 2000000; sleep 1000`,
      { image, mounts: [{ ...mount, propagation: 'private' }] },
    );
    const stored = await eventually(async () => {
      const [found] = await fixture.runtime.storage([id]);
      return found && found.writableBytes >= 3_000_000 && found.logBytes >= 2_000_000 ? found : undefined;
    });
    t.true(stored.writableBytes < 9_000_000, String(stored.writableBytes));
    await fixture.runtime.removeContainer(id);
    t.deepEqual(await fixture.runtime.storage([id]), []);
  });

  add('an image that a container uses stays; then it can be removed', async (t, fixture) => {
    const { runtime } = fixture;
    const image = await importImage(fixture, {});
    const sandbox = await fixture.sandbox();
    const id = await fixture.shell(sandbox.id, 'sleep 1000', { image });
    await t.throwsAsync(async () => runtime.removeImage?.(image), { instanceOf: ImagePullError });
    t.not(await runtime.imageStatus(image), undefined);
    await runtime.removeContainer(id);
    await runtime.removeImage?.(image);
    t.is(await runtime.imageStatus(image), undefined);
    await t.throwsAsync(async () => runtime.importImages?.(Readable.from(['no archive'])), {
      instanceOf: ImagePullError,
    });
  });
}
