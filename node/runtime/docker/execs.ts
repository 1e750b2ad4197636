/** Exec and attach through the engine. */

import { readFile } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import type Dockerode from 'dockerode';
import { type Clock, delay } from '../clock.ts';
import { signalProcess } from '../processes.ts';
import { ContainerNotFoundError, type ExecRequest, type ExecSession } from '../runtime.ts';
import { sessionOver } from '../sessions.ts';
import { isNotFound } from './engine.ts';
import { settlePollMs, settleTimeoutMs } from './limits.ts';

/** What a shell reports for a process that was killed; used where the engine lost the real code. */
const killedExitCode = 137;

interface Context {
  readonly docker: Dockerode;
  readonly clock: Clock;
}

/** Throws {@link ContainerNotFoundError}; other errors are the engine's, as when the container does not run. */
export async function startExec(context: Context, containerId: string, request: ExecRequest): Promise<ExecSession> {
  const exec = await orNotFound(
    containerId,
    context.docker.getContainer(containerId).exec({
      Cmd: [...request.command],
      Tty: request.tty,
      AttachStdin: request.stdin,
      AttachStdout: true,
      AttachStderr: true,
    }),
  );
  // Without `stdin` the library ends the request itself; the connection it hands over is writable all the same.
  const socket = await exec.start({ hijack: true, Tty: request.tty, Detach: false });
  const ended = new AbortController();
  socket.once('close', () => ended.abort());
  return sessionOver({
    socket,
    tty: request.tty,
    stdin: request.stdin,
    resize: size => resizeWhenReady(context.clock, ended.signal, () => exec.resize({ h: size.rows, w: size.columns })),
    exitCode: () => exitCodeOf(context.clock, exec),
    kill: () => killExec(containerId, exec),
  });
}

/** Joins the container's own process. Throws {@link ContainerNotFoundError}. */
export async function startAttach(
  context: Context,
  containerId: string,
  request: { readonly tty: boolean; readonly stdin: boolean },
): Promise<ExecSession> {
  const container = context.docker.getContainer(containerId);
  const socket = await orNotFound(
    containerId,
    container.attach({ hijack: true, stream: true, stdin: request.stdin, stdout: true, stderr: true }),
  );
  const ended = new AbortController();
  socket.once('close', () => ended.abort());
  return sessionOver({
    // A hijacked connection is a socket, whatever the library's types say.
    socket: socket as Duplex,
    tty: request.tty,
    stdin: request.stdin,
    resize: size =>
      resizeWhenReady(context.clock, ended.signal, () => container.resize({ h: size.rows, w: size.columns })),
    exitCode: async () => {
      try {
        const result: { readonly StatusCode: number } = await container.wait();
        return result.StatusCode;
      } catch (error) {
        if (isNotFound(error)) return killedExitCode;
        throw error;
      }
    },
    // The process is the container's: it lives on.
    kill: () => Promise.resolve(),
  });
}

/** The engine takes no size before the process runs, and clients send theirs at once. */
async function resizeWhenReady(clock: Clock, ended: AbortSignal, resize: () => Promise<unknown>): Promise<void> {
  const deadline = clock.now() + settleTimeoutMs;
  while (!ended.aborted) {
    try {
      await resize();
      return;
    } catch (error) {
      if (ended.aborted) return;
      if (clock.now() >= deadline) throw error;
    }
    await delay(clock, settlePollMs, ended);
  }
}

/** The connection may end before the engine has noted the exit. */
async function exitCodeOf(clock: Clock, exec: Dockerode.Exec): Promise<number> {
  const deadline = clock.now() + settleTimeoutMs;
  for (;;) {
    try {
      const state = await exec.inspect();
      if (!state.Running && state.ExitCode !== null) return state.ExitCode;
    } catch (error) {
      // The container was removed under it.
      if (isNotFound(error)) return killedExitCode;
      throw error;
    }
    if (clock.now() >= deadline) return killedExitCode;
    await delay(clock, settlePollMs);
  }
}

/** The engine cannot end an exec; the process can be found if the engine runs on this machine. */
async function killExec(containerId: string, exec: Dockerode.Exec): Promise<void> {
  const state = await exec.inspect().catch(() => undefined);
  if (state?.Running !== true || state.Pid <= 1) return;
  // With an engine elsewhere the number would be a stranger's: only a process of this container is ended.
  const cgroups = await readFile(`/proc/${state.Pid}/cgroup`, 'utf8').catch(() => '');
  if (cgroups.includes(containerId)) signalProcess(state.Pid, 'SIGKILL');
}

async function orNotFound<T>(containerId: string, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (isNotFound(error)) throw new ContainerNotFoundError(`no container ${containerId}`, { cause: error });
    throw error;
  }
}
