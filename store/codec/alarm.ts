/** Alarms as bytes. In a filter, what does not matter is left out. */
import type { Alarm, AlarmFilter } from '../client/client.ts';
import type { ByteReader, ByteWriter } from './bytes.ts';

// Their places in these lists are on disk: append only.
const TYPES = ['NOSPACE', 'CORRUPT'] as const satisfies readonly Alarm['type'][];
const CAUSES = ['quota', 'disk', 'divergence'] as const satisfies readonly Alarm['cause'][];
const ANY = 0xff;

export function writeAlarm(writer: ByteWriter, alarm: Alarm): void {
  writer.byte(TYPES.indexOf(alarm.type));
  writer.byte(CAUSES.indexOf(alarm.cause));
  writer.text(alarm.memberId);
}

/** @throws {RangeError} a later version wrote it */
export function readAlarm(reader: ByteReader): Alarm {
  const type = named(TYPES, reader.byte());
  const cause = named(CAUSES, reader.byte());
  return { type, cause, memberId: reader.text() };
}

export function writeAlarmFilter(writer: ByteWriter, { type, cause, memberId }: AlarmFilter): void {
  writer.byte(type === undefined ? ANY : TYPES.indexOf(type));
  writer.byte(cause === undefined ? ANY : CAUSES.indexOf(cause));
  writer.byte(memberId === undefined ? ANY : 0);
  if (memberId !== undefined) writer.text(memberId);
}

/** @throws {RangeError} a later version wrote it */
export function readAlarmFilter(reader: ByteReader): AlarmFilter {
  const type = reader.byte();
  const cause = reader.byte();
  const hasMember = reader.byte() !== ANY;
  return {
    ...(type === ANY ? {} : { type: named(TYPES, type) }),
    ...(cause === ANY ? {} : { cause: named(CAUSES, cause) }),
    ...(hasMember ? { memberId: reader.text() } : {}),
  };
}

function named<Name>(names: readonly Name[], number: number): Name {
  const name = names[number];
  if (name === undefined) throw new RangeError('an alarm is not known here: upgrade this member');
  return name;
}
