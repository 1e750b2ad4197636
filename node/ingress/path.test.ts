/** What hosts and paths are compared as. */
import test from 'ava';
import fc from 'fast-check';
import { normalHost, normalPath, targetOf } from './path.ts';

test('paths in normal form', t => {
  const cases: readonly (readonly [string, string])[] = [
    ['/', '/'],
    ['/a/b/', '/a/b/'],
    ['/a//b', '/a//b'],
    ['/%61/b', '/a/b'],
    ['/a%2fb', '/a%2Fb'],
    ['/a%2Fb', '/a%2Fb'],
    ['/public/../admin', '/admin'],
    ['/public/%2e%2e/admin', '/admin'],
    ['/public/%2E./admin/.', '/admin/'],
    ['/../../etc', '/etc'],
    ['/a/..', '/'],
    ['/a/b/..', '/a/'],
    ['/.well-known/x', '/.well-known/x'],
    ['/a/...', '/a/...'],
    ['/50%', '/50%'],
  ];
  for (const [path, expected] of cases) t.is(normalPath(path), expected, path);
});

test('a normal form is its own normal form, and has no dots to climb with', t => {
  const segment = fc.constantFrom('a', 'b', '.', '..', '%2e', '%2E%2e', '%2f', '', '%41', '...', 'é');
  fc.assert(
    fc.property(fc.array(segment, { maxLength: 8 }), segments => {
      const normal = normalPath(`/${segments.join('/')}`);
      t.is(normalPath(normal), normal);
      t.true(normal.startsWith('/'));
      t.false(normal.split('/').some(part => part === '.' || part === '..'));
    }),
  );
});

test('hosts', t => {
  const cases: readonly (readonly [string, string | undefined])[] = [
    ['Example.COM', 'example.com'],
    ['example.com:8080', 'example.com'],
    ['example.com.', 'example.com'],
    ['[::1]:80', '[::1]'],
    ['10.0.0.1', '10.0.0.1'],
    ['', ''],
    ['user@example.com', undefined],
    ['a b', undefined],
    ['a/b', undefined],
    ['a:b', undefined],
  ];
  for (const [text, expected] of cases) t.is(normalHost(text), expected, text);
});

test('where a request goes', t => {
  t.deepEqual(targetOf('/a/../b?c=/../d', 'Web:80'), {
    host: 'web',
    path: '/b',
    forwarded: '/a/../b?c=/../d',
    authority: 'Web:80',
  });
  t.like(targetOf('http://inner/x', 'outer'), { host: 'inner', forwarded: '/x', authority: 'inner' });
  t.like(targetOf('http://inner?x', 'outer'), { host: 'inner', path: '/', forwarded: '/?x' });
  t.is(targetOf('*', 'web'), undefined);
  t.is(targetOf('ftp://web/', 'web'), undefined);
});
