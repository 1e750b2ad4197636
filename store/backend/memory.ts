/**
 * The state in memory, for tests and the simulator: a {@link MemoryStateDisk} outlives the backend that writes to it, and
 * a crash takes what was not flushed.
 */
import assert from 'node:assert';
import {
  type CheckpointWriter,
  type StateBackend,
  StateCorruptError,
  StateFailedError,
  type StoredState,
} from './backend.ts';
import { seal, unseal } from './sealed.ts';

interface Contents {
  readonly checkpoint: readonly Uint8Array[] | undefined;
  readonly batches: readonly Uint8Array[];
}

/** What a backend is about to do to the disk. */
export type StateDiskOperation = 'append' | 'flush' | 'checkpoint';
/** Stands before each write: await to delay it, throw to fail it, never resolve to hang it. */
export type StateDiskFault = (operation: StateDiskOperation) => Promise<void>;

const NOTHING: Contents = { checkpoint: undefined, batches: [] };

export class MemoryStateDisk {
  #contents = NOTHING;
  /** How many of the batches are durable. */
  #flushed = 0;
  #life = 0;
  /** Why it must not be used, if so. */
  condemned: string | undefined;
  #fault: StateDiskFault | undefined;

  get life(): number {
    return this.#life;
  }
  get contents(): Contents {
    return this.#contents;
  }

  /** Sets what happens to writes from now on; undefined for nothing bad. */
  setFault(fault: StateDiskFault | undefined): void {
    this.#fault = fault;
  }

  /** The process dies with its machine: only the first `batchesKept` of the unflushed batches had reached the disk. */
  crash(options: { readonly batchesKept?: number } = {}): void {
    const { checkpoint, batches } = this.#contents;
    this.#contents = { checkpoint, batches: batches.slice(0, this.#flushed + (options.batchesKept ?? 0)) };
    this.#life++;
  }

  /** Loses flushed batches, as a damaged disk does. */
  damage(): void {
    this.#contents = { ...this.#contents, batches: [] };
  }

  /**
   * Turns one bit of a batch, counted from the youngest flushed one (0), or of the checkpoint if there are fewer; false if
   * there is nothing to damage.
   */
  flipBit(place: { readonly fromEnd: number; readonly bit: number }): boolean {
    const { checkpoint, batches } = this.#contents;
    const flip = (bytes: Uint8Array): Uint8Array => {
      const flipped = Uint8Array.from(bytes);
      const at = (place.bit >>> 3) % flipped.length;
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (place.bit & 7));
      return flipped;
    };
    const victim = this.#flushed - 1 - place.fromEnd;
    if (victim >= 0) {
      this.#contents = { checkpoint, batches: batches.map((batch, at) => (at === victim ? flip(batch) : batch)) };
      return true;
    }
    const chunk = checkpoint?.findIndex(({ length }) => length > 0) ?? -1;
    if (checkpoint === undefined || chunk === -1) return false;
    this.#contents = { checkpoint: checkpoint.map((bytes, at) => (at === chunk ? flip(bytes) : bytes)), batches };
    return true;
  }

  get isDamaged(): boolean {
    return this.#contents.batches.length < this.#flushed;
  }

  /** What is on the disk now, to be put back later, as somebody with an old copy would. What was not flushed is lost. */
  copy(): () => void {
    const [{ checkpoint, batches }, flushed, condemned] = [this.#contents, this.#flushed, this.condemned];
    return () => {
      this.#contents = { checkpoint, batches: batches.slice(0, flushed) };
      this.#flushed = flushed;
      this.condemned = condemned;
    };
  }

  /** Loses everything, also what was condemned. */
  wipe(): void {
    this.#contents = NOTHING;
    this.#flushed = 0;
    this.condemned = undefined;
  }

  append(life: number, batch: Uint8Array): Promise<void> {
    return this.#change(life, 'append', () => {
      const { checkpoint, batches } = this.#contents;
      this.#contents = { checkpoint, batches: [...batches, batch] };
    });
  }

  flush(life: number): Promise<void> {
    return this.#change(life, 'flush', () => {
      this.#flushed = this.#contents.batches.length;
    });
  }

  replace(life: number, checkpoint: readonly Uint8Array[], batchesGone: number): Promise<void> {
    return this.#change(life, 'checkpoint', () => {
      this.#contents = { checkpoint, batches: this.#contents.batches.slice(batchesGone) };
      this.#flushed = Math.max(0, this.#flushed - batchesGone);
    });
  }

  /** Changes the disk in one step, after what stands before it; never if the process died meanwhile. */
  async #change(life: number, operation: StateDiskOperation, change: () => void): Promise<void> {
    await this.#fault?.(operation);
    if (life !== this.#life) return new Promise(() => {});
    change();
  }
}

export class MemoryBackend implements StateBackend {
  readonly #disk: MemoryStateDisk;
  readonly #life: number;
  #failure: StateFailedError | undefined;
  #isCheckpointing = false;
  /** Batches given to `append` that have not been dropped by a checkpoint. */
  #batches = 0;
  #writes: Promise<void> = Promise.resolve();

  constructor(disk: MemoryStateDisk) {
    this.#disk = disk;
    this.#life = disk.life;
  }

  async open(): Promise<StoredState> {
    if (this.#disk.condemned !== undefined) throw new StateCorruptError(this.#disk.condemned);
    if (this.#disk.isDamaged) throw new StateCorruptError('flushed batches are missing');
    const { checkpoint, batches } = this.#disk.contents;
    this.#batches = batches.length;
    const values = batches.map((batch, at) => {
      const value = unseal(batch);
      if (value === undefined) throw new StateCorruptError(`batch ${at} does not match its CRC`);
      return value;
    });
    return { checkpoint: checkpoint === undefined ? undefined : each(checkpoint), batches: each(values) };
  }

  append(batch: Uint8Array): Promise<void> {
    this.#batches++;
    const sealed = seal(batch);
    return this.#enqueue(() => this.#disk.append(this.#life, sealed));
  }

  flush(): Promise<void> {
    return this.#enqueue(() => this.#disk.flush(this.#life));
  }

  beginCheckpoint(): CheckpointWriter {
    assert(!this.#isCheckpointing, 'one checkpoint at a time');
    this.#isCheckpointing = true;
    const through = this.#batches;
    const chunks: Uint8Array[] = [];
    return {
      write: async chunk => {
        chunks.push(Uint8Array.from(chunk));
      },
      commit: async () => {
        await this.#enqueue(() => this.#disk.replace(this.#life, chunks, through));
        this.#batches -= through;
        this.#isCheckpointing = false;
      },
      abandon: async () => {
        this.#isCheckpointing = false;
      },
    };
  }

  async condemn(reason: string): Promise<void> {
    await this.#writes;
    this.#disk.condemned = reason;
  }
  async close(): Promise<void> {
    await this.#writes;
  }

  #enqueue(write: () => Promise<void>): Promise<void> {
    const done = this.#writes.then(async () => {
      if (this.#failure !== undefined) throw this.#failure;
      try {
        await write();
      } catch (error) {
        this.#failure = new StateFailedError('the state could not be written', { cause: error });
        throw this.#failure;
      }
    });
    this.#writes = done.catch(() => {});
    return done;
  }
}

async function* each(values: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* values;
}
