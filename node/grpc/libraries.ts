/**
 * The libraries behind gRPC, read at the first call: a node without CRI and without CSI drivers does not need them, and they are
 * 10 MB of an agent.
 */
import { createRequire } from 'node:module';
import type * as Grpc from '@grpc/grpc-js';
import type Protobuf from 'protobufjs/minimal.js';

const require = createRequire(import.meta.url);
let grpcLibrary: typeof Grpc | undefined;
let protobufLibrary: typeof Protobuf | undefined;

// Modules that are required have no types of their own.
export function grpc(): typeof Grpc {
  grpcLibrary ??= require('@grpc/grpc-js') as typeof Grpc;
  return grpcLibrary;
}

export function protobuf(): typeof Protobuf {
  protobufLibrary ??= require('protobufjs/minimal.js') as typeof Protobuf;
  return protobufLibrary;
}
