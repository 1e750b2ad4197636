/**
 * Unpacks one layer into a directory that shows the layers below, as overlayfs merges them (or as a copy of them). Nobody
 * else writes there meanwhile, so paths can be checked before they are used; no link leads out: each component is walked
 * with the directory as the root. Whiteouts remove what is below (OCI Image Specification, "Layer Filesystem Changeset");
 * overlayfs turns that into its own form.
 */
import { createWriteStream, type Stats } from 'node:fs';
import { chmod, lchown, link, lstat, lutimes, mkdir, readdir, readlink, rm, symlink, utimes } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, type Header } from 'tar-stream';
import { type Attribute, AttributeSniffer } from './attributes.ts';
import { hasCode, ImageError } from './errors.ts';
import { layerEntriesMax, symlinksMax } from './limits.ts';

/** What Node.js has no call for. */
export interface SpecialFiles {
  /** Makes device nodes and pipes. */
  makeNode(file: string, node: DeviceNode): Promise<void>;
  /** Sets extended attributes of many files; ones that the file system does not take are left out. */
  setAttributes(files: readonly FileAttributes[]): Promise<void>;
}
export interface DeviceNode {
  readonly type: 'character' | 'block' | 'pipe';
  readonly major: number;
  readonly minor: number;
}
export interface FileAttributes {
  readonly file: string;
  readonly attributes: readonly Attribute[];
}

const whiteoutPrefix = '.wh.';
const opaqueName = '.wh..wh..opq';
const auxiliaryPrefix = '.wh..wh.';
const directoryMode = 0o755;

/** Gives the bytes that files took. Throws {@link ImageError}, or what the file system says. */
export async function unpackLayer(tar: Readable, root: string, special: SpecialFiles): Promise<number> {
  const unpacker = new Unpacker(root, special);
  const sniffer = new AttributeSniffer();
  const archive = extract();
  tar.once('error', error => sniffer.destroy(error));
  sniffer.once('error', error => archive.destroy(error));
  sniffer.once('close', () => tar.destroy());
  archive.once('close', () => sniffer.destroy());
  tar.pipe(sniffer).pipe(archive);
  for await (const entry of archive) {
    // It gives bytes only; its type does not say so.
    await unpacker.add(entry.header, entry as AsyncIterable<Uint8Array>, sniffer.takeAttributes());
    entry.resume();
  }
  // The digest is of all bytes, also of those behind the end mark.
  if (!tar.readableEnded) {
    tar.resume();
    await new Promise<void>((resolve, reject) => tar.once('end', resolve).once('close', resolve).once('error', reject));
  }
  return await unpacker.finish();
}

class Unpacker {
  readonly #root: string;
  readonly #special: SpecialFiles;
  /** Directories that this layer made or names, for their times and for opaque whiteouts. */
  readonly #own = new Set<string>();
  readonly #directoryTimes = new Map<string, Date>();
  readonly #attributes: FileAttributes[] = [];
  #entries = 0;
  #sizeBytes = 0;

  constructor(root: string, special: SpecialFiles) {
    this.#root = root;
    this.#special = special;
  }

  async add(header: Header, content: AsyncIterable<Uint8Array>, attributes: readonly Attribute[]): Promise<void> {
    this.#entries += 1;
    if (this.#entries > layerEntriesMax) throw new ImageError(`a layer has more than ${layerEntriesMax} entries`);
    const parts = componentsOf(header.name);
    const name = parts.pop();
    if (name === undefined) {
      if (header.type === 'directory') await this.#describe(this.#root, header, attributes);
      return;
    }
    const parent = await this.#resolve(parts, true);
    if (name.startsWith(whiteoutPrefix)) return await this.#whiteout(parent, name);
    const file = path.join(parent, name);
    await this.#clear(file, header.type === 'directory');
    await this.#make(file, header, content);
    for (let at = file; at !== this.#root && !this.#own.has(at); at = path.dirname(at)) this.#own.add(at);
    if (header.type !== 'link') await this.#describe(file, header, attributes);
  }

  /** What has to wait until nothing changes any more. */
  async finish(): Promise<number> {
    await this.#special.setAttributes(this.#attributes);
    for (const [directory, time] of this.#directoryTimes) {
      await utimes(directory, time, time).catch((error: unknown) => {
        if (!hasCode(error, 'ENOENT', 'ENOTDIR')) throw error;
      });
    }
    return this.#sizeBytes;
  }

  async #make(file: string, header: Header, content: AsyncIterable<Uint8Array>): Promise<void> {
    const { devmajor: major = 0, devminor: minor = 0 } = header;
    switch (header.type) {
      case 'directory':
        await mkdir(file, { mode: directoryMode }).catch((error: unknown) => {
          if (!hasCode(error, 'EEXIST')) throw error;
        });
        return;
      case 'symlink':
        return await symlink(header.linkname ?? '', file);
      case 'link':
        return await link(await this.#linkTarget(header.linkname ?? ''), file);
      case 'character-device':
        return await this.#special.makeNode(file, { type: 'character', major, minor });
      case 'block-device':
        return await this.#special.makeNode(file, { type: 'block', major, minor });
      case 'fifo':
        return await this.#special.makeNode(file, { type: 'pipe', major: 0, minor: 0 });
      case 'file':
      case 'contiguous-file':
        this.#sizeBytes += header.size ?? 0;
        // Exclusive: whatever was there has been cleared away.
        return await pipeline(content, createWriteStream(file, { flags: 'wx', mode: 0o600 }));
      default:
        throw new ImageError(`the layer has an entry of a kind that is not supported: ${header.type ?? 'unknown'}`);
    }
  }

  async #describe(file: string, header: Header, attributes: readonly Attribute[]): Promise<void> {
    const time = header.mtime ?? new Date(0);
    await lchown(file, header.uid ?? 0, header.gid ?? 0);
    if (header.type === 'symlink') {
      await lutimes(file, time, time);
    } else {
      // After the owner: changing that takes set-user-id bits away.
      await chmod(file, (header.mode ?? directoryMode) & 0o7777);
      if (header.type === 'directory') this.#directoryTimes.set(file, time);
      else await utimes(file, time, time);
    }
    // Of overlayfs' own attributes a layer has none to give.
    const kept = attributes.filter(({ name }) => !name.startsWith('trusted.overlay.'));
    if (kept.length > 0) this.#attributes.push({ file, attributes: kept });
  }

  async #whiteout(parent: string, name: string): Promise<void> {
    if (name === opaqueName) return await this.#hideBelow(parent);
    // Aufs' own files.
    if (name.startsWith(auxiliaryPrefix)) return;
    const hidden = name.slice(whiteoutPrefix.length);
    if (hidden === '' || hidden === '.' || hidden === '..')
      throw new ImageError(`the layer has a bad whiteout: ${name}`);
    await rm(path.join(parent, hidden), { recursive: true, force: true });
  }

  /** Removes what the layers below have in a directory; what this layer has there stays. */
  async #hideBelow(directory: string): Promise<void> {
    for (const child of await readdir(directory, { withFileTypes: true })) {
      const file = path.join(directory, child.name);
      if (!this.#own.has(file)) await rm(file, { recursive: true, force: true });
      else if (child.isDirectory()) await this.#hideBelow(file);
    }
  }

  /** Something else under the same name makes way; a directory stays a directory. */
  async #clear(file: string, wantsDirectory: boolean): Promise<void> {
    const found = await statOf(file);
    if (found === undefined || (wantsDirectory && found.isDirectory())) return;
    await rm(file, { recursive: true, force: true });
    for (const own of this.#own) if (own.startsWith(`${file}/`)) this.#own.delete(own);
  }

  async #linkTarget(name: string): Promise<string> {
    const parts = componentsOf(name);
    const last = parts.pop();
    if (last === undefined) throw new ImageError('a hard link of the layer leads to no file');
    return path.join(await this.#resolve(parts, false), last);
  }

  /** Walks with the directory as the root: links lead to where they would lead inside the container. */
  async #resolve(parts: readonly string[], make: boolean): Promise<string> {
    const left = [...parts].reverse();
    let at = this.#root;
    let links = 0;
    for (let part = left.pop(); part !== undefined; part = left.pop()) {
      if (part === '' || part === '.') continue;
      if (part === '..') {
        if (at !== this.#root) at = path.dirname(at);
        continue;
      }
      const next = path.join(at, part);
      const found = await statOf(next);
      if (found?.isSymbolicLink() === true) {
        links += 1;
        if (links > symlinksMax) throw new ImageError(`too many links on the way to ${parts.join('/')}`);
        const target = await readlink(next);
        if (target.startsWith('/')) at = this.#root;
        left.push(...target.split('/').reverse());
        continue;
      }
      if (found === undefined || !found.isDirectory()) {
        if (!make) throw new ImageError(`a hard link of the layer leads to no file: ${parts.join('/')}`);
        if (found !== undefined) await rm(next);
        await mkdir(next, { mode: directoryMode });
      }
      at = next;
    }
    return at;
  }
}

/** Throws {@link ImageError} for a name that leads out. */
function componentsOf(name: string): string[] {
  const parts = name.split('/').filter(part => part !== '' && part !== '.');
  if (parts.includes('..') || name.includes('\0')) {
    throw new ImageError(`the layer has a name that leads out of it: ${JSON.stringify(name)}`);
  }
  return parts;
}

async function statOf(file: string): Promise<Stats | undefined> {
  return await lstat(file).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  });
}
