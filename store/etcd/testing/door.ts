/** A store of one member with etcd's API in front of it, and a client of an independent gRPC library. For tests. */
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { MemoryBackend, MemoryStateDisk } from '../../backend/memory.ts';
import { LocalClient } from '../../client/local.ts';
import { systemClock } from '../../clock.ts';
import { followLeadership } from '../../duties/duties.ts';
import { STORE_LIMITS } from '../../limits.ts';
import type { ApplyResult } from '../../mvcc/command.ts';
import { Replica } from '../../replica.ts';
import { SingleRaft } from '../../testing/single-raft.ts';
import type { Method } from '../proto/services.ts';
import { EtcdServer, type EtcdServerOptions } from '../server.ts';

export async function makeDoor(options: Pick<EtcdServerOptions, 'wallClock' | 'metricsText' | 'tls'> = {}) {
  const onFatal = (error: Error) => {
    throw error;
  };
  const replica = new Replica({ backend: new MemoryBackend(new MemoryStateDisk()), clock: systemClock, onFatal });
  const raft = new SingleRaft<ApplyResult>(replica);
  await raft.start();
  const limits = STORE_LIMITS;
  const store = new LocalClient({ raft, replica, clock: systemClock, random: Math.random, limits, timeoutMs: 200 });
  const stop = followLeadership({ raft, replica, client: store, clock: systemClock });
  const server = new EtcdServer({
    raft,
    replica,
    client: store,
    clock: systemClock,
    limits,
    random: Math.random,
    listen: { host: '127.0.0.1', port: 0 },
    ...options,
  });
  const port = await server.start();
  const etcd = new TestEtcdClient(`127.0.0.1:${port}`);
  return {
    port,
    raft,
    replica,
    store,
    etcd,
    async [Symbol.asyncDispose]() {
      etcd.close();
      await server.close();
      stop();
      await store.close();
      await raft.close();
    },
  };
}

type AnyMethod<Req, Res> = Method<Req, unknown, never, Res>;

/** Calls methods through grpc-js, which shares no code with the server. */
class TestEtcdClient {
  readonly #client: Client;

  constructor(address: string) {
    this.#client = new Client(address, credentials.createInsecure());
  }

  call<Req, Res>(
    { path, request: asked, response }: AnyMethod<Req, Res>,
    request: Req,
    options: { readonly metadata?: Metadata; readonly timeoutMs?: number } = {},
  ): Promise<Res> {
    const callOptions = options.timeoutMs === undefined ? {} : { deadline: Date.now() + options.timeoutMs };
    return new Promise((resolve, reject) => {
      const done = (error: ServiceError | null, value?: Res) => {
        if (error !== null || value === undefined) reject(error ?? new Error('no answer'));
        else resolve(value);
      };
      const encode = (value: Req) => asked.encode(value);
      const decode = (bytes: Buffer) => response.decode(bytes);
      if (options.metadata === undefined)
        this.#client.makeUnaryRequest(path, encode, decode, request, callOptions, done);
      else this.#client.makeUnaryRequest(path, encode, decode, request, options.metadata, callOptions, done);
    });
  }

  /** Opens a stream; answers are read one by one. */
  stream<Req, Res>({ path, request, response }: AnyMethod<Req, Res>, metadata?: Metadata) {
    const call = this.#client.makeBidiStreamRequest<Req, Res>(
      path,
      value => request.encode(value),
      bytes => response.decode(bytes),
      metadata ?? new Metadata(),
    );
    const answers = call[Symbol.asyncIterator]();
    call.on('error', () => {}); // whoever reads hears of it
    return {
      send: (value: Req) => call.write(value),
      async next(): Promise<Res> {
        const result = await answers.next();
        if (result.done === true) throw new Error('the stream ended');
        return result.value as Res; // as `decode` made it
      },
      pause: () => call.pause(),
      end: () => call.end(),
      cancel: () => call.cancel(),
    };
  }

  close(): void {
    this.#client.close();
  }
}
