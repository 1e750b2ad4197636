import test from 'ava';
import fc from 'fast-check';
import { type Frame, FrameError, FrameReader, LineTimes } from './frames.ts';
import { frameOf } from './native/supervisor/protocol.ts';

test('frames come out as they went in, however the bytes are cut', t => {
  const frame = fc.record({
    stream: fc.constantFrom('stdout' as const, 'stderr' as const),
    data: fc.uint8Array({ maxLength: 50 }),
  });
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 10 }), fc.integer({ min: 1, max: 40 }), (frames, step) => {
      const bytes = Buffer.concat(frames.map(one => frameOf(one.stream, Buffer.from(one.data))));
      const reader = new FrameReader();
      const read: Frame[] = [];
      for (let at = 0; at < bytes.length; at += step) read.push(...reader.push(bytes.subarray(at, at + step)));
      t.deepEqual(
        read.map(one => [one.stream, [...one.data]]),
        frames.map(one => [one.stream, [...one.data]]),
      );
    }),
  );
});

test('other bytes are refused', t => {
  t.throws(() => new FrameReader().push(Buffer.from('GET / HTTP/1.1')), { instanceOf: FrameError });
});

test('a time goes before a line, not before its parts, and only if it is wanted', t => {
  const frame = (stream: 'stdout' | 'stderr', text: string): Frame => ({
    stream,
    data: Buffer.from(`2026-11-21T00:00:00.000000001Z ${text}`),
  });
  const parts = [frame('stdout', 'a'), frame('stderr', 'x\n'), frame('stdout', 'b\n'), frame('stdout', 'c\n')];
  const read = (wanted: boolean) => {
    const times = new LineTimes(wanted);
    return parts.map(part => times.push(part).toString());
  };
  const time = '2026-11-21T00:00:00.000000001Z ';
  t.deepEqual(read(true), [`${time}a`, `${time}x\n`, 'b\n', `${time}c\n`]);
  t.deepEqual(read(false), ['a', 'x\n', 'b\n', 'c\n']);
});
