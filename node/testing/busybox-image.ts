/** An image for tests on a Docker engine, made of this machine's busybox; no registry is reached. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import type Dockerode from 'dockerode';
import { pack } from 'tar-stream';

export const busybox = '/bin/busybox';

/** A root file system of nothing but busybox and its names, as a tar archive. */
export async function busyboxLayer(): Promise<Buffer> {
  const archive = pack();
  const names = execFileSync(busybox, ['--list'], { encoding: 'utf8' }).split('\n').filter(Boolean);
  // Said in full: a container that runs as nobody has to get in.
  archive.entry({ name: './', type: 'directory', mode: 0o755 });
  archive.entry({ name: 'bin', type: 'directory', mode: 0o755 });
  archive.entry({ name: 'bin/busybox', mode: 0o755 }, readFileSync(busybox));
  for (const name of names) {
    if (name !== 'busybox') archive.entry({ name: `bin/${name}`, type: 'symlink', linkname: 'busybox' });
  }
  archive.entry({ name: 'tmp', type: 'directory', mode: 0o1777 });
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export async function importBusybox(docker: Dockerode, image: string): Promise<void> {
  const [repo, tag] = image.split(':');
  const stream = await docker.importImage(Readable.from([await busyboxLayer()]), { repo, tag });
  for await (const _ of stream);
}
