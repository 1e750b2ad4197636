/** The node agent's door: what composes an agent imports from here. */
export { Agent, createAgent } from './agent.ts';
export type { AgentOptions, AgentTiming } from './agent-options.ts';
export { type Clock, systemClock } from './clock.ts';
export type { Logger } from './logger.ts';
export type { PodNetwork } from './network/network.ts';
export type { ServiceProxy } from './proxy/proxy.ts';
export type { Runtime } from './runtime/runtime.ts';
export { RuntimeUnavailableError } from './runtime/runtime.ts';
export type { AgentTls } from './server.ts';
