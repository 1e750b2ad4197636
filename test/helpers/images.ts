/** Makes the images that the tests run, from programs on this machine; no registry is reached. */
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { mustRun, run } from './run.ts';

/** A busybox with a shell, under this name, in the Docker engine. */
export async function makeBusyboxImage(tag: string, changes: readonly string[] = ['CMD ["sh"]']): Promise<void> {
  await importImage(tag, { changes, fill: addBusybox });
}

/** A busybox with `dig` (dnsutils) and `getent`, which asks as the C library does. */
export async function makeDnsClientImage(tag: string): Promise<void> {
  await importImage(tag, {
    changes: ['CMD ["sleep", "3600"]'],
    fill: async root => {
      await addBusybox(root);
      await addProgram(root, '/usr/bin/dig');
      await addProgram(root, '/usr/bin/getent');
    },
  });
}

/**
 * An nginx from Debian's packages with a shell, `date` and `bash`, tagged as given. `page` is what `/` answers; `port`
 * is where it listens.
 */
export async function makeNginxImage(
  tag: string,
  options: { readonly page: string; readonly port?: number },
): Promise<void> {
  await importImage(tag, {
    changes: ['CMD ["/usr/sbin/nginx", "-g", "daemon off;"]', `EXPOSE ${options.port ?? 80}`],
    fill: async root => {
      await addBusybox(root);
      await addProgram(root, '/usr/sbin/nginx');
      await addProgram(root, '/bin/bash');
      for (const folder of ['etc/nginx', 'var/log/nginx', 'var/lib/nginx', 'var/www', 'run', 'tmp'])
        await mkdir(join(root, folder), { recursive: true });
      await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n');
      await writeFile(join(root, 'etc/group'), 'root:x:0:\nnogroup:x:65534:\n');
      await writeFile(join(root, 'var/www/index.html'), options.page);
      await writeFile(
        join(root, 'etc/nginx/nginx.conf'),
        `user root;\nworker_processes 1;\npid /run/nginx.pid;\nerror_log /dev/stderr;\nevents { worker_connections 128; }\nhttp {\n  access_log /dev/stdout;\n  server { listen ${options.port ?? 80}; root /var/www; }\n}\n`,
      );
    },
  });
}

async function addBusybox(root: string): Promise<void> {
  await mkdir(join(root, 'bin'), { recursive: true });
  await cp('/bin/busybox', join(root, 'bin/busybox'), { dereference: true });
  const applets = (await mustRun('/bin/busybox', ['--list'])).split('\n').filter(name => name && name !== 'busybox');
  for (const applet of applets) await symlink('busybox', join(root, 'bin', applet));
  await mkdir(join(root, 'tmp'), { recursive: true, mode: 0o1777 });
  await mkdir(join(root, 'root'), { recursive: true });
  await mkdir(join(root, 'etc'), { recursive: true });
}

/** Copies a program with the libraries it is linked with. */
async function addProgram(root: string, program: string): Promise<void> {
  const linked = (await run('ldd', [program])).stdout;
  const files = [program, ...[...linked.matchAll(/(\/\S+)\s+\(0x/g)].map(match => match[1] ?? '')];
  for (const file of files) {
    const target = join(root, file);
    if (!file || (existsSync(target) && file !== program)) continue;
    await mkdir(dirname(target), { recursive: true });
    await rm(target, { force: true });
    await cp(file, target, { dereference: true });
  }
}

async function importImage(
  tag: string,
  { changes, fill }: { readonly changes: readonly string[]; readonly fill: (root: string) => Promise<void> },
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'raftsman-image-'));
  try {
    const root = join(folder, 'root');
    await mkdir(root);
    await fill(root);
    await mustRun('tar', ['-C', root, '-cf', join(folder, 'image.tar'), '.']);
    await mustRun('docker', [
      'import',
      ...changes.flatMap(change => ['--change', change]),
      join(folder, 'image.tar'),
      tag,
    ]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
