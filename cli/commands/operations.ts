/** The commands that run and operate a cluster: one line a command. */
import type { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import { register as agent } from './agent.ts';
import { register as down } from './down.ts';
import { register as image } from './image.ts';
import { register as reset } from './reset.ts';
import { register as server } from './server.ts';
import { register as status } from './status.ts';
import { register as up } from './up.ts';

export type RegisterCommand = (program: Command, context: CommandContext) => void;

export const operationCommands: readonly RegisterCommand[] = [up, down, status, server, agent, reset, image];
