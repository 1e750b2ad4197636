/** What befalls the network between members. Each strikes, and answers how it passes, if it lasts. */
import type { MemberId } from '../../raft/index.ts';
import { type MemoryNetwork, NO_FAULTS } from '../../raft/transport/memory.ts';
import type { SimulatedMember } from './member.ts';
import type { Stage } from './misfortunes.ts';
import { integerBetween, shuffled } from './random.ts';

/** Parts the members into two sides; nothing passes between them. */
export function partition(stage: Stage): (() => void) | undefined {
  const { random, members, network, coverage, trace } = stage;
  const order = shuffled(
    random,
    members.filter(({ isAlive }) => isAlive),
  );
  if (order.length < 2) return undefined;
  const border = integerBetween(random, 1, order.length - 1);
  const [here, there] = [order.slice(0, border), order.slice(border)];
  trace?.(`network: ${names(here)} | ${names(there)}`);
  coverage.note('partition');
  const ways = here.flatMap(one =>
    there.flatMap((other): [MemberId, MemberId][] => [
      [one.id, other.id],
      [other.id, one.id],
    ]),
  );
  for (const [from, to] of ways) network.cut(from, to);
  return () => {
    for (const [from, to] of ways) network.mend(from, to);
  };
}

/** One member is not heard, or does not hear, or one link works in one direction only. */
export function cutOneWay(stage: Stage): (() => void) | undefined {
  const { random, members, network, coverage, trace } = stage;
  const [victim, other] = shuffled(random, members);
  if (victim === undefined || other === undefined) return undefined;
  coverage.note('one-way cut');
  const others = random() < 0.5 ? [other] : members.filter(member => member !== victim);
  const isMute = random() < 0.5;
  trace?.(`network: ${victim.name} ${isMute ? 'is not heard by' : 'does not hear'} ${names(others)}`);
  const ways = others.map(({ id }): [MemberId, MemberId] => (isMute ? [victim.id, id] : [id, victim.id]));
  for (const [from, to] of ways) network.cut(from, to);
  return () => {
    for (const [from, to] of ways) network.mend(from, to);
  };
}

/** One link carries nothing for a while, and then all of it at once; sometimes both ways. */
export function clog(stage: Stage): undefined {
  const { random, members, network, shape, coverage, trace } = stage;
  const [one, other] = shuffled(random, members);
  if (one === undefined || other === undefined) return;
  coverage.note('clog');
  const durationMs = random() * shape.lastingMsMax;
  trace?.(`network: ${one.name} to ${other.name} is clogged for ${Math.round(durationMs)} ms`);
  network.clog(one.id, other.id, durationMs);
  if (random() < 0.5) network.clog(other.id, one.id, durationMs);
}

/** Every link is bad in some way. */
export function disturb({ network, trace }: Stage, faults: Partial<MemoryNetwork['faults']>): () => void {
  network.faults = { ...network.faults, ...faults };
  trace?.(`network: ${JSON.stringify(network.faults)}`);
  return () => {
    const calm = Object.fromEntries(Object.keys(faults).map(name => [name, 0]));
    network.faults = { ...NO_FAULTS, ...network.faults, ...calm };
  };
}

function names(members: readonly SimulatedMember[]): string {
  return members.map(member => member.name).join(' ');
}
