/** The disk of one host: a small file system of its own that can be filled, and a fsync that can fail or hang. */
import { mkdir, open, readdir, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { mustRun, run } from '../helpers/run.ts';

const SOURCE = fileURLToPath(new URL('./fault-disk.c', import.meta.url));
const SIZE = '320M';
const FILL_CHUNK_BYTES = 256 * 1024;

export type SyncFault = 'healthy' | 'hang' | 'fail';
const BYTES: Record<SyncFault, string> = { healthy: '-', hang: 'h', fail: 'e' };

export class Disk {
  /** What the member calls its data directory. */
  readonly dataDir: string;
  readonly #mount: string;
  readonly #control: string;
  readonly #library: string | undefined;

  private constructor(folder: string, library: string | undefined) {
    this.#mount = join(folder, 'disk');
    this.dataDir = join(this.#mount, 'data');
    this.#control = join(folder, 'control');
    this.#library = library;
  }

  /** @param library as from {@link buildFaultDisk} */
  static async create(folder: string, library: string | undefined): Promise<Disk> {
    const disk = new Disk(folder, library);
    await mkdir(disk.#mount, { recursive: true });
    const image = join(folder, 'image');
    await mustRun('truncate', ['-s', SIZE, image]);
    await mustRun('mkfs.ext4', ['-q', '-m', '0', image]);
    await mustRun('mount', ['-o', 'loop', image, disk.#mount]);
    await disk.setSync('healthy');
    return disk;
  }

  /** What the member's process needs to run on this disk. */
  get environment(): Record<string, string> {
    if (this.#library === undefined) return {};
    return { LD_PRELOAD: this.#library, FAULT_DISK_CONTROL: this.#control };
  }

  async setSync(fault: SyncFault): Promise<void> {
    await writeFile(this.#control, BYTES[fault]);
  }

  /** Leaves not a byte. */
  async fill(): Promise<void> {
    const file = await open(join(this.#mount, 'filler'), 'a');
    try {
      const chunk = Buffer.alloc(FILL_CHUNK_BYTES, 1);
      for (let size = chunk.length; size >= 512; ) {
        try {
          await file.write(chunk, 0, size);
        } catch (error) {
          if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
          size = Math.floor(size / 2);
        }
      }
    } finally {
      await file.close();
    }
  }

  async empty(): Promise<void> {
    await rm(join(this.#mount, 'filler'), { force: true });
  }

  async wipe(): Promise<void> {
    await rm(this.dataDir, { recursive: true, force: true });
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#mount);
    return bavail * bsize;
  }

  /** Flips one bit in the newest file of the Raft log, `place` (0 to 1) of the way through it. */
  async flipLogBit(place: number): Promise<void> {
    const folder = join(this.dataDir, 'raft');
    const files = (await readdir(folder, { recursive: true })).filter(name => /\.(log|ldb)$/.test(name));
    const newest = files.sort().at(-1);
    if (newest === undefined) throw new Error(`there is no log in ${folder}`);
    const file = await open(join(folder, newest), 'r+');
    try {
      const { size } = await file.stat();
      if (size === 0) return;
      const position = Math.min(size - 1, Math.floor(size * place));
      const byte = Buffer.alloc(1);
      await file.read(byte, 0, 1, position);
      byte.writeUInt8(byte.readUInt8(0) ^ 0x10);
      await file.write(byte, 0, 1, position);
    } finally {
      await file.close();
    }
  }
}

/** Builds the library for {@link Disk}; undefined where there is no C compiler. */
export async function buildFaultDisk(folder: string): Promise<string | undefined> {
  const library = join(folder, 'fault-disk.so');
  const built = await run('cc', ['-shared', '-fPIC', '-O1', '-o', library, SOURCE, '-ldl']);
  return built.code === 0 ? library : undefined;
}
