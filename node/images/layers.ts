/**
 * Unpacked layers on disk, each by the name of its stack (chain id): what overlayfs wants below each other. Where there is
 * no overlayfs a layer is a whole copy of its stack.
 *
 *   layers/N/layer.json   written last: a layer without one is not there
 *   layers/N/diff         the files; N is short, for the kernel takes one page of mount options
 */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { z } from 'zod';
import { KeyedMutex } from '../mutex.ts';
import { mustRun, type RunCommand } from '../runtime/command.ts';
import { decompressed } from './decompress.ts';
import { digesting } from './digest.ts';
import { ImageError } from './errors.ts';
import { layerBytesMax, unpackTimeoutMs } from './limits.ts';
import { type SpecialFiles, unpackLayer } from './unpack.ts';

const layerSchema = z.object({
  chainId: z.string(),
  diffId: z.string(),
  parent: z.string().optional(),
  kind: z.enum(['overlay', 'copy']),
  sizeBytes: z.number(),
});
export interface Layer extends z.infer<typeof layerSchema> {
  readonly number: number;
}
export interface LayerToAdd {
  readonly chainId: string;
  readonly diffId: string;
  readonly parent: string | undefined;
  /** The layer as it travels, packed or not. */
  readonly open: () => Promise<Readable>;
}

export class Layers {
  readonly #root: string;
  readonly #run: RunCommand;
  readonly #special: SpecialFiles;
  readonly #layers = new Map<string, Layer>();
  readonly #unpacking = new KeyedMutex();
  #next = 1;
  #hasOverlay = false;

  constructor(options: { readonly root: string; readonly run: RunCommand; readonly special: SpecialFiles }) {
    this.#root = path.join(options.root, 'layers');
    this.#run = options.run;
    this.#special = options.special;
  }

  /** Where the numbers of layers are names. */
  get directory(): string {
    return this.#root;
  }
  get hasOverlay(): boolean {
    return this.#hasOverlay;
  }

  /** Reads what is there and clears away what was not finished, mounts first. */
  async open(): Promise<void> {
    await mkdir(this.#root, { recursive: true, mode: 0o700 });
    await unmountBelow(this.#run, this.#root);
    for (const name of await readdir(this.#root)) {
      const layer = /^\d+$/.test(name) ? await this.#read(name) : undefined;
      if (layer === undefined) await rm(path.join(this.#root, name), { recursive: true, force: true });
      else this.#layers.set(layer.chainId, layer);
    }
    this.#next = Math.max(0, ...[...this.#layers.values()].map(({ number }) => number)) + 1;
    this.#hasOverlay = await this.#tryOverlay();
  }

  get(chainId: string): Layer | undefined {
    return this.#layers.get(chainId);
  }

  /** The layer's directories, the highest first, as overlayfs names them: one for a copy. */
  stack(chainId: string): readonly Layer[] {
    const stack: Layer[] = [];
    for (let id: string | undefined = chainId; id !== undefined; ) {
      const layer: Layer | undefined = this.#layers.get(id);
      if (layer === undefined) throw new ImageError(`layer ${id} is not there`);
      stack.push(layer);
      id = layer.kind === 'copy' ? undefined : layer.parent;
    }
    return stack;
  }

  diff(layer: Layer): string {
    return path.join(this.#root, String(layer.number), 'diff');
  }

  /** Unpacks a layer on top of its parent, which has to be there. Throws if its content is not what its name says. */
  async add(layer: LayerToAdd): Promise<Layer> {
    return await this.#unpacking.run(layer.chainId, async () => {
      const known = this.#layers.get(layer.chainId);
      if (known !== undefined) return known;
      const number = this.#next;
      this.#next += 1;
      const directory = path.join(this.#root, String(number));
      try {
        const kind = this.#hasOverlay ? 'overlay' : 'copy';
        const sizeBytes = await this.#unpack(layer, directory);
        const record = { chainId: layer.chainId, diffId: layer.diffId, kind, sizeBytes } as const;
        const written = { ...record, ...(layer.parent !== undefined && { parent: layer.parent }) };
        await writeFile(path.join(directory, 'layer.json.new'), JSON.stringify(written), { mode: 0o600 });
        await rename(path.join(directory, 'layer.json.new'), path.join(directory, 'layer.json'));
        const added = { ...written, number };
        this.#layers.set(layer.chainId, added);
        return added;
      } catch (error) {
        await unmountBelow(this.#run, directory);
        await rm(directory, { recursive: true, force: true });
        throw error;
      }
    });
  }

  /** Removes all that are not named. Gives the bytes that became free. */
  async retain(chainIds: ReadonlySet<string>): Promise<number> {
    let freedBytes = 0;
    for (const layer of [...this.#layers.values()]) {
      if (chainIds.has(layer.chainId)) continue;
      this.#layers.delete(layer.chainId);
      const directory = path.join(this.#root, String(layer.number));
      // From here on it is not there, whenever this process dies.
      await rm(path.join(directory, 'layer.json'), { force: true });
      await rm(directory, { recursive: true, force: true });
      freedBytes += layer.sizeBytes;
    }
    return freedBytes;
  }

  async #unpack(layer: LayerToAdd, directory: string): Promise<number> {
    const diff = path.join(directory, 'diff');
    await mkdir(diff, { recursive: true });
    const parent = layer.parent === undefined ? undefined : this.stack(layer.parent);
    if (parent !== undefined && !this.#hasOverlay) await copyTree(this.#run, await this.#whole(parent), diff);
    if (parent === undefined || !this.#hasOverlay) return await this.#fill(layer, diff);
    const [merged, work] = [path.join(directory, 'merged'), path.join(directory, 'work')];
    await mkdir(merged);
    await mkdir(work);
    const lower = parent.map(({ number }) => `${number}/diff`).join(':');
    await mountOverlay(this.#run, { directory: this.#root, lower, upper: diff, work, target: merged });
    try {
      return await this.#fill(layer, merged);
    } finally {
      await mustRun(this.#run, 'umount', [merged]);
      await rm(merged, { recursive: true });
      await rm(work, { recursive: true });
    }
  }

  async #fill(layer: LayerToAdd, target: string): Promise<number> {
    const source = await layer.open();
    const check = digesting({
      bytesMax: layerBytesMax,
      onEnd(digest) {
        if (digest !== layer.diffId) throw new ImageError(`a layer has the digest ${digest}, not ${layer.diffId}`);
      },
    });
    try {
      const plain = await decompressed(source);
      plain.once('error', error => check.destroy(error));
      return await unpackLayer(plain.pipe(check), target, this.#special);
    } finally {
      source.destroy();
    }
  }

  /** The directory of a stack that is one copy. Stacks of the other kind come from a kernel that had overlayfs. */
  async #whole(stack: readonly Layer[]): Promise<string> {
    const [top] = stack;
    if (top === undefined || top.kind !== 'copy') {
      throw new ImageError('the layers below were unpacked for overlayfs, which this kernel does not have');
    }
    return this.diff(top);
  }

  async #tryOverlay(): Promise<boolean> {
    const trial = path.join(this.#root, 'trial');
    try {
      for (const name of ['lower', 'upper', 'work', 'merged']) await mkdir(path.join(trial, name), { recursive: true });
      const at = (name: string) => path.join(trial, name);
      const mount = { directory: trial, lower: 'lower', upper: at('upper'), work: at('work'), target: at('merged') };
      await mountOverlay(this.#run, mount);
      await mustRun(this.#run, 'umount', [at('merged')]);
      return true;
    } catch {
      return false;
    } finally {
      await rm(trial, { recursive: true, force: true });
    }
  }

  async #read(name: string): Promise<Layer | undefined> {
    const text = await readFile(path.join(this.#root, name, 'layer.json'), 'utf8').catch(() => undefined);
    return text === undefined ? undefined : { ...layerSchema.parse(JSON.parse(text)), number: Number(name) };
  }
}

/** Copies all of a tree with all that the file system knows of it. */
export async function copyTree(run: RunCommand, from: string, to: string): Promise<void> {
  await mustRun(run, 'cp', ['-a', `${from}/.`, to], { timeoutMs: unpackTimeoutMs });
}

async function mountOverlay(
  run: RunCommand,
  mount: {
    readonly directory: string;
    readonly lower: string;
    readonly upper: string;
    readonly work: string;
    readonly target: string;
  },
): Promise<void> {
  const options = `lowerdir=${mount.lower},upperdir=${mount.upper},workdir=${mount.work}`;
  // From inside the directory, so that many layers fit into the options; the older call takes more than 255 bytes of them.
  const script = 'cd "$0" && LIBMOUNT_FORCE_MOUNT2=always exec mount -t overlay overlay -o "$1" "$2"';
  await mustRun(run, 'sh', ['-c', script, mount.directory, options, mount.target]);
}

/** Takes off what is mounted below a directory, whoever left it there. */
export async function unmountBelow(run: RunCommand, directory: string): Promise<void> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  const targets = mounts
    .split('\n')
    .map(line => unescaped(line.split(' ')[4] ?? ''))
    .filter(target => target.startsWith(`${directory}/`));
  for (const target of targets.reverse()) await run('umount', ['-l', target]);
}

/** The kernel writes blanks and backslashes as octal numbers. */
function unescaped(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
