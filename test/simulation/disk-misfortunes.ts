/** What befalls the disk of a member that goes on with it. Each strikes, and answers how it passes. */
import type { SimulatedMember } from './member.ts';
import { GOOD_DISK } from './member-disk.ts';
import type { Stage } from './misfortunes.ts';
import { pick } from './random.ts';

/** A write takes a time up to one of these. */
const SLOW_WRITE_MS = [5, 20, 100, 600];
const WRITE_FAILURE = 0.02;

export function slowDisk({ random, coverage }: Stage, { disk }: SimulatedMember): () => void {
  coverage.note('slow disk');
  disk.faults = { ...disk.faults, writeMsMax: pick(random, SLOW_WRITE_MS) ?? 0 };
  return () => {
    disk.faults = { ...disk.faults, writeMsMax: GOOD_DISK.writeMsMax };
  };
}

/** Writes do not come back, until somebody pulls the plug. */
export function hangDisk({ disk }: SimulatedMember, pullPlug: () => void): () => void {
  disk.faults = { ...disk.faults, isHanging: true };
  return () => {
    disk.faults = { ...disk.faults, isHanging: false };
    pullPlug();
  };
}

/** Some writes fail, and each ends the life. */
export function failDisk({ operator }: Stage, member: SimulatedMember): () => void {
  const { disk } = member;
  disk.faults = { ...disk.faults, failure: WRITE_FAILURE };
  return () => {
    disk.faults = { ...disk.faults, failure: 0 };
    operator.revive(member);
  };
}

/** There is hardly any room; undefined if nobody would notice. */
export function fillDisk(member: SimulatedMember): (() => void) | undefined {
  if (!member.fill(true)) return undefined;
  return () => {
    member.fill(false);
  };
}
