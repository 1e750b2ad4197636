/** A gRPC server in this process, on a unix socket: it answers as the test tells it to. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerWritableStream,
  status,
} from '@grpc/grpc-js';
import type { Method } from '../grpc/method.ts';
import type { Message } from '../grpc/proto.ts';

/** gRPC's code and a message. */
export class Refusal extends Error {
  readonly grpcCode: number;
  constructor(grpcCode: number, message: string) {
    super(message);
    this.grpcCode = grpcCode;
  }
}

type Handler = (request: never) => unknown;

export class TestGrpcServer {
  readonly directory: string;
  #server: Server | undefined;
  readonly #handlers = new Map<string, Handler>();
  readonly #methods = new Map<string, Method<never, unknown>>();
  /** Open event streams. */
  readonly streams = new Set<ServerWritableStream<unknown, unknown>>();
  #streamed: Method<never, unknown> | undefined;
  #refused: { readonly target: Method<never, unknown>; readonly refusal: Refusal } | undefined;

  readonly #name: string;

  private constructor(directory: string, name: string) {
    this.directory = directory;
    this.#name = name;
  }

  static async make(): Promise<TestGrpcServer> {
    return new TestGrpcServer(await mkdtemp(path.join(tmpdir(), 'raftsman-grpc-server-')), 's');
  }

  /** One that listens at a path of the test's own; `remove` is not for it. */
  static at(socketPath: string): TestGrpcServer {
    return new TestGrpcServer(path.dirname(socketPath), path.basename(socketPath));
  }

  get endpoint(): string {
    return `unix://${this.directory}/${this.#name}`;
  }

  /**
   * From the next `listen` on. Messages are read as what they are written as, and the other way round. The answer may take its
   * time.
   */
  on<I, O>(target: Method<I, O>, answer: (request: I) => unknown): void {
    this.#methods.set(target.path, target as Method<never, unknown>);
    this.#handlers.set(target.path, answer as Handler);
  }

  /** This call streams what the test writes to `streams`. */
  onStream<I, O>(target: Method<I, O>): void {
    this.#streamed = target as Method<never, unknown>;
  }

  /** This call of messages both ways is refused at its first message, and no other is read. */
  onDuplex<I, O>(target: Method<I, O>, refusal: Refusal): void {
    this.#refused = { target: target as Method<never, unknown>, refusal };
  }

  async listen(): Promise<void> {
    const server = new Server();
    for (const [at, target] of this.#methods) {
      const entry = definition(target);
      server.addService({ [at]: entry }, { [at]: this.#unary(at) });
    }
    if (this.#streamed !== undefined) {
      const at = this.#streamed.path;
      const entry = { ...definition(this.#streamed), responseStream: true };
      server.addService(
        { [at]: entry },
        {
          [at]: (call: ServerWritableStream<unknown, unknown>) => {
            this.streams.add(call);
            call.on('cancelled', () => this.streams.delete(call));
          },
        },
      );
    }
    if (this.#refused !== undefined) {
      const { target, refusal } = this.#refused;
      const entry = { ...definition(target), requestStream: true, responseStream: true };
      server.addService(
        { [target.path]: entry },
        {
          [target.path]: (call: ServerDuplexStream<unknown, unknown>) => {
            call.once('data', () => {
              call.pause();
              call.emit('error', { code: refusal.grpcCode, details: refusal.message });
            });
          },
        },
      );
    }
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(this.endpoint, ServerCredentials.createInsecure(), error =>
        error === null ? resolve() : reject(error),
      );
    });
    this.#server = server;
  }

  /** Hangs up on everybody. */
  stop(): void {
    this.#server?.forceShutdown();
    this.#server = undefined;
    this.streams.clear();
  }

  async remove(): Promise<void> {
    this.stop();
    await rm(this.directory, { recursive: true, force: true });
  }

  #unary(at: string): handleUnaryCall<unknown, unknown> {
    return (call, answer) => {
      const refuse = (error: unknown) => {
        const code = error instanceof Refusal ? error.grpcCode : status.UNKNOWN;
        answer({ code, details: error instanceof Error ? error.message : String(error) });
      };
      try {
        const value = this.#handlers.get(at)?.(call.request as never);
        if (value instanceof Promise) value.then(settled => answer(null, settled), refuse);
        else answer(null, value);
      } catch (error) {
        refuse(error);
      }
    };
  }
}

function definition(target: Method<never, unknown>) {
  // A message reads and writes: the test's side is the mirror of the product's.
  const request = target.request as unknown as Message<unknown, unknown>;
  const response = target.response as unknown as Message<unknown, unknown>;
  return {
    path: target.path,
    requestStream: false,
    responseStream: false,
    requestSerialize: (value: unknown) => request.encode(value),
    requestDeserialize: (bytes: Buffer) => request.decode(bytes),
    responseSerialize: (value: unknown) => response.encode(value),
    responseDeserialize: (bytes: Buffer) => response.decode(bytes),
  };
}
