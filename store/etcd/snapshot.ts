import type { EtcdContext } from './context.ts';
import { GrpcError, STATUS, type StreamingCall } from './grpc.ts';

export async function sendSnapshot(_context: EtcdContext, _call: StreamingCall<unknown, object>): Promise<void> {
  throw new GrpcError(STATUS.unimplemented, 'raftsman: later');
}
