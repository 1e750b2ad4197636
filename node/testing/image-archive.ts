/** Images for tests, made of this machine's busybox or of any files; no registry is reached. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Header, pack } from 'tar-stream';
import { busybox } from './busybox-image.ts';

export type Entry = Partial<Header> & { readonly name: string; readonly content?: string | Buffer };

export interface TestImage {
  readonly config: Buffer;
  /** Unpacked, the lowest first. */
  readonly layers: readonly Buffer[];
}

export async function tarOf(entries: readonly Entry[]): Promise<Buffer> {
  const archive = pack();
  for (const { content, ...header } of entries) {
    const isFile = header.type === undefined || header.type === 'file';
    const full = { mtime: new Date(1_000_000_000_000), ...header };
    if (isFile) archive.entry(full, content ?? '');
    else archive.entry(full);
  }
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Everything that runs `sh`. */
export function busyboxEntries(): Entry[] {
  const names = execFileSync(busybox, ['--list'], { encoding: 'utf8' }).split('\n').filter(Boolean);
  return [
    // Said in full: a container that runs as nobody has to get in.
    { name: './', type: 'directory', mode: 0o755 },
    { name: 'bin', type: 'directory', mode: 0o755 },
    { name: 'bin/busybox', mode: 0o755, content: readFileSync(busybox) },
    ...names
      .filter(name => name !== 'busybox')
      .map(name => ({ name: `bin/${name}`, type: 'symlink' as const, linkname: 'busybox' })),
    { name: 'tmp', type: 'directory', mode: 0o1777 },
    { name: 'etc', type: 'directory', mode: 0o755 },
    { name: 'etc/passwd', mode: 0o644, content: 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n' },
    { name: 'etc/group', mode: 0o644, content: 'root:x:0:\napp:x:1001:\nextra:x:1002:app\n' },
  ];
}

export function imageOf(layers: readonly Buffer[], config: Readonly<Record<string, unknown>> = {}): TestImage {
  const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
  const diffIds = layers.map(layer => digest(layer));
  const document = { architecture, os: 'linux', config, rootfs: { type: 'layers', diff_ids: diffIds } };
  return { config: Buffer.from(JSON.stringify(document)), layers };
}

/** As `docker save` writes it. */
export async function savedImage(name: string, image: TestImage): Promise<Buffer> {
  const configName = `${digest(image.config).slice('sha256:'.length)}.json`;
  const layers = image.layers.map((content, index) => ({ name: `layer-${index}.tar`, content }));
  const manifest = [{ Config: configName, RepoTags: [name], Layers: layers.map(layer => layer.name) }];
  return await tarOf([
    ...layers,
    { name: configName, content: image.config },
    { name: 'manifest.json', content: JSON.stringify(manifest) },
  ]);
}

export function digest(bytes: Buffer | string): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
