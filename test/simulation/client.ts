/** A client of a simulated cluster: appends and reads through any member, one thing after the other. */
import { NotLeaderError, OutcomeUnknownError, OverloadedError, ProposalDroppedError } from '../../raft/index.ts';
import type { SimulatedMember } from './member.ts';
import { integerBetween, pick } from './random.ts';
import type { SimulatedWorld } from './world.ts';

/** A member that died answers nothing: the client goes on after this. */
const PATIENCE_MS = 3_000;
/** A pause between operations, so that there are quiet and busy times. */
const PAUSES_MS = [0, 0, 1, 5, 40, 200];

export function runClient(world: SimulatedWorld, client: number): void {
  operate(world, client).catch(error => world.fail(error instanceof Error ? error : new Error(String(error))));
}

async function operate(world: SimulatedWorld, client: number): Promise<void> {
  let count = 0;
  while (world.isChaos) {
    await pause(world, pick(world.random, PAUSES_MS) ?? 0);
    const member = pick(world.random, world.members);
    if (member === undefined) continue;
    if (world.random() < 0.5) await append(world, member, `${client}.${count++}`);
    else await read(world, member, `${client}.r${count++}`);
  }
  // The cluster is healed: a command has to get through in the end.
  for (let attempt = 0; ; attempt++) {
    const member = pick(world.random, world.members);
    if (member !== undefined && (await append(world, member, `${client}.last.${attempt}`))) break;
    await pause(world, 50);
  }
  world.clientsDone++;
}

async function append(world: SimulatedWorld, member: SimulatedMember, command: string): Promise<boolean> {
  const { node } = member;
  if (node === undefined) {
    await pause(world, 10);
    return false;
  }
  const operation = world.history.begin('append', command, world.clock.now());
  const outcome = await patiently(world, node.propose(Buffer.from(command)));
  if (outcome === undefined) return false;
  if (outcome instanceof Error) {
    operation.isRefused =
      outcome instanceof NotLeaderError ||
      outcome instanceof ProposalDroppedError ||
      outcome instanceof OverloadedError;
    if (!operation.isRefused && !(outcome instanceof OutcomeUnknownError)) throw outcome;
    return false;
  }
  operation.result = outcome;
  operation.returnedMs = world.clock.now();
  return true;
}

async function read(world: SimulatedWorld, member: SimulatedMember, name: string): Promise<void> {
  const { node, machine } = member;
  if (node === undefined || machine === undefined) return pause(world, 10);
  const operation = world.history.begin('read', name, world.clock.now());
  const outcome = await patiently(
    world,
    node.readBarrier({ timeoutMs: integerBetween(world.random, 200, 2_000) }).then(() => machine.length),
  );
  if (outcome === undefined || outcome instanceof Error) return;
  operation.result = outcome;
  operation.returnedMs = world.clock.now();
}

/** The result, the error, or undefined if the member died and will never answer. */
function patiently(world: SimulatedWorld, result: Promise<number>): Promise<number | Error | undefined> {
  return new Promise(resolve => {
    const cancel = world.clock.setTimeout(() => resolve(undefined), PATIENCE_MS);
    result.then(
      value => {
        cancel();
        resolve(value);
      },
      (error: Error) => {
        cancel();
        resolve(error);
      },
    );
  });
}

function pause(world: SimulatedWorld, delayMs: number): Promise<void> {
  return new Promise(resolve => {
    world.clock.setTimeout(resolve, delayMs);
  });
}
