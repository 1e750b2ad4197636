import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { deflateSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib';
import test from 'ava';
import { HELD_BYTES_MAX, withLinksMoved } from './html-links.ts';

const moved = (link: string) => (link.startsWith('/') ? `/proxy${link}` : link);

/** A page as it comes, in pieces of so many bytes. */
function page(bytes: Buffer, { packing, size = bytes.length }: { packing?: string; size?: number } = {}) {
  const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
    bytes.subarray(at * size, (at + 1) * size),
  );
  const headers = packing === undefined ? {} : { 'content-encoding': packing };
  return Object.assign(Readable.from(pieces, { objectMode: false }), { headers }) as unknown as IncomingMessage;
}

async function rewritten(bytes: Buffer, how: { packing?: string; size?: number } = {}): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of withLinksMoved(page(bytes, how), moved) ?? []) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

const cases: readonly [name: string, html: string, expected: string][] = [
  ['a link from the root', '<a href="/x">y</a>', '<a href="/proxy/x">y</a>'],
  ['without quotes', '<a  class=b href=/x id=c>y</a>', '<a  class=b href="/proxy/x" id=c>y</a>'],
  ['in capitals', "<A HREF='/x'>y</A>", '<A href="/proxy/x">y</A>'],
  ['two in one tag', '<img src="/a" alt="/b" longdesc="/c">', '<img src="/proxy/a" alt="/b" longdesc="/proxy/c">'],
  ['with entities', '<a href="/x?a=1&amp;b=%222&quot;">y</a>', '<a href="/proxy/x?a=1&amp;b=%222&quot;">y</a>'],
  ['a relative one', '<a href="x">/y</a>', '<a href="x">/y</a>'],
  ['an attribute that is none of that element', '<a src="/x">y</a>', '<a src="/x">y</a>'],
  [
    'a script',
    '<script src="/x">a = "<a href=\'/no\'>"</script>',
    '<script src="/proxy/x">a = "<a href=\'/no\'>"</script>',
  ],
  ['a remark', '<!-- <a href="/x"> -->', '<!-- <a href="/x"> -->'],
  [
    'all else as it is',
    '<!DOCTYPE html>\r\n<p class=a>é\u00a0€ &nbsp; & <b\r\n>',
    '<!DOCTYPE html>\r\n<p class=a>é\u00a0€ &nbsp; & <b\r\n>',
  ],
  ['characters of any kind in the link', '<a href="/é€&euro;">', '<a href="/proxy/é€&#8364;">'],
];
for (const [name, html, expected] of cases) {
  test(`links of a page: ${name}`, async t => {
    t.is((await rewritten(Buffer.from(html))).toString(), expected);
    t.is((await rewritten(Buffer.from(html), { size: 1 })).toString(), expected, 'byte by byte');
  });
}

test('links of a page: packed ones are unpacked and packed again', async t => {
  const html = Buffer.from('<a href="/x">');
  t.is(gunzipSync(await rewritten(gzipSync(html), { packing: 'gzip' })).toString(), '<a href="/proxy/x">');
  t.is(inflateSync(await rewritten(deflateSync(html), { packing: 'deflate' })).toString(), '<a href="/proxy/x">');
  t.is(withLinksMoved(page(html, { packing: 'br' }), moved), undefined);
});

test('links of a page: one that breaks off breaks off', async t => {
  await t.throwsAsync(rewritten(gzipSync(Buffer.from('<a href="/x">')).subarray(0, 20), { packing: 'gzip' }));
});

test('links of a page: one that never comes to a tag breaks off, also where it is packed small', async t => {
  const half = Buffer.alloc(HELD_BYTES_MAX / 2, 'x');
  const tag = Buffer.from('<b>');
  t.is((await rewritten(Buffer.concat([half, tag, half, tag, half]), { size: 65_536 })).length, 3 * half.length + 6);
  const endless = Buffer.concat([half, half, half]);
  await t.throwsAsync(rewritten(endless, { size: 65_536 }), { message: /without a tag/ });
  await t.throwsAsync(rewritten(Buffer.concat([Buffer.from('<a '), endless]), { size: 65_536 }), {
    message: /without a tag/,
  });
  await t.throwsAsync(rewritten(gzipSync(endless), { packing: 'gzip' }));
});
