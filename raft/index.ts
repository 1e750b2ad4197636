/** Consensus: a replicated log for any state machine. Everything outside `raft/` imports from here only. */
export { CORE_LIMITS, type CoreLimits } from './core/limits.ts';
export type * from './core/types.ts';
export type { Clock } from './driver/clock.ts';
export { membershipCodec } from './driver/codec.ts';
export type { CrashPoint, CrashPointHook } from './driver/crash-points.ts';
export { createRaftNode, type RaftDriver, type RaftNodeDependencies } from './driver/driver.ts';
export { type Logger, silentLogger } from './driver/logger.ts';
export * from './driver/node.ts';
export type * from './driver/observer.ts';
export { RAFT_OPTIONS, type RaftOptions } from './driver/options.ts';
export type * from './driver/state-machine.ts';
export { systemClock } from './driver/system-clock.ts';
export { LevelStorage, type LevelStorageOptions } from './storage/level.ts';
export { MemoryDisk, MemoryStorage } from './storage/memory.ts';
export * from './storage/storage.ts';
export type * from './transport/observer.ts';
export * from './transport/transport.ts';
export { WebSocketTransport, type WebSocketTransportOptions } from './transport/websocket.ts';
