import test from 'ava';
import fc from 'fast-check';
import { indentJson, isForReading, laidOut } from './pretty.ts';
import { bytesReply, jsonReply } from './replies.ts';

const indented = (text: string) => Buffer.from(indentJson(Buffer.from(text))).toString();

test('any JSON comes out as JSON.stringify indents it', t => {
  fc.assert(
    fc.property(fc.jsonValue(), value => {
      t.is(indented(JSON.stringify(value)), JSON.stringify(value, null, 2));
      t.is(indented(JSON.stringify(value, null, 5)), JSON.stringify(value, null, 2));
    }),
  );
});

test('keys keep their order and numbers their digits', t => {
  t.is(indented('{"10":1,"9":12345678901234567890}'), '{\n  "10": 1,\n  "9": 12345678901234567890\n}');
});

const asked = (query: string, userAgent?: string) =>
  isForReading({
    query: new URLSearchParams(query),
    headers: userAgent === undefined ? {} : { 'user-agent': userAgent },
  });

test('programs that people read with get it indented, others where they ask', t => {
  t.true(asked('', 'curl/8.5.0'));
  t.true(asked('', 'Wget/1.21'));
  t.true(asked('', 'Mozilla/5.0 (X11)'));
  t.false(asked('', 'kubectl/v1.33.1'));
  t.false(asked(''));
  t.true(asked('pretty=true', 'kubectl/v1.33.1'));
  t.false(asked('pretty=false', 'curl/8.5.0'));
  t.false(asked('pretty=0', 'curl/8.5.0'));
});

test('streams and other media types stay as they are', t => {
  const yaml = bytesReply(200, Buffer.from('{"a": 1}'), { 'content-type': 'application/yaml' });
  t.is(laidOut(yaml), yaml);
  const stream = bytesReply(200, (async function* () {})(), { 'content-type': 'application/json' });
  t.is(laidOut(stream), stream);
  const reply = laidOut(jsonReply(200, { a: 1 }));
  t.is('taken' in reply ? '' : Buffer.from(reply.body as Uint8Array).toString(), '{\n  "a": 1\n}');
});
