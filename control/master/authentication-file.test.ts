/** The file of --authentication-config is followed: what is good takes its place, what is bad leaves the one before. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { until } from '../client/testing/until.ts';
import {
  AUTHENTICATION_FILE_BYTES_MAX,
  AUTHENTICATION_FILE_POLL_MS,
  AuthenticationFile,
} from './authentication-file.ts';

const HEADER = 'apiVersion: apiserver.config.k8s.io/v1beta1\nkind: AuthenticationConfiguration\n';
const anonymousAt = (path: string) => `${HEADER}anonymous: {enabled: true, conditions: [{path: ${path}}]}\n`;

async function follow(t: ExecutionContext, content: string, isAnonymousRefused = false) {
  const folder = await mkdtemp(join(tmpdir(), 'authentication-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = join(folder, 'authentication.yaml');
  await writeFile(file, content);
  const words: string[] = [];
  const say = (details: object, message: string) => {
    words.push(`${message} ${'error' in details ? String(details.error) : ''}`);
  };
  let due: (() => void) | undefined;
  const clock = {
    now: () => 0,
    setTimeout: (run: () => void, delayMs: number) => {
      t.is(delayMs, AUTHENTICATION_FILE_POLL_MS);
      due = run;
      return () => {
        due = undefined;
      };
    },
  };
  const options = { file, ownIssuer: 'https://own', isAnonymousRefused, clock };
  const opened = await AuthenticationFile.open({
    ...options,
    logger: { debug: say, info: say, warn: say, error: say },
  });
  t.teardown(() => opened.close());
  const look = async () => {
    await until('it sleeps', () => due !== undefined);
    const run = due;
    due = undefined;
    run?.();
    await until('it has looked', () => due !== undefined);
  };
  return { ...{ file, words, look, opened }, isAsleep: () => due !== undefined };
}

test('a change takes effect when two looks have found it, and is told once', async t => {
  const { file, words, look, opened, isAsleep } = await follow(t, anonymousAt('/a'));
  const { authentication } = opened;
  await look();
  t.true(authentication.admitsAnonymous('/a'));
  await writeFile(file, anonymousAt('/b'));
  await look();
  t.true(authentication.admitsAnonymous('/a'), 'it may still be being written');
  await look();
  t.false(authentication.admitsAnonymous('/a'));
  t.true(authentication.admitsAnonymous('/b'));
  await look();
  t.deepEqual(words, ['the authentication configuration has changed and is in use ']);
  await opened.close();
  t.false(isAsleep());
});

test('what cannot be used leaves the one before, is told once, and mended later', async t => {
  const { file, words, look, opened } = await follow(t, anonymousAt('/a'));
  const { authentication } = opened;
  const looks = async (count: number) => {
    for (let time = 0; time < count; time++) await look();
  };
  await writeFile(file, `${HEADER}jwt: [{issuer: {url: https://own, audiences: [a]}}]`);
  await looks(4);
  t.true(authentication.admitsAnonymous('/a'));
  t.is(words.length, 1);
  t.regex(words[0] ?? '', /stays in use \[jwt\[0\]\.issuer\.url: Invalid value: "https:\/\/own": URL must not overlap/);
  await rm(file);
  await looks(3);
  t.true(authentication.admitsAnonymous('/a'));
  t.regex(words[1] ?? '', /ENOENT/);
  await writeFile(file, 'x'.repeat(AUTHENTICATION_FILE_BYTES_MAX + 1));
  await looks(3);
  t.regex(words[2] ?? '', /and may have 4194304 at most/);
  await writeFile(file, anonymousAt('/c'));
  await looks(2);
  t.true(authentication.admitsAnonymous('/c'));
  t.is(words.length, 4);
});

test('a master does not start with a bad file, and says where it fails', async t => {
  await t.throwsAsync(follow(t, `${HEADER}jwt: [{}]`), {
    message: /^--authentication-config: \/.*authentication\.yaml: \[jwt\[0\]\.issuer\.url: Required value, /,
  });
  await t.throwsAsync(follow(t, anonymousAt('/a'), true), { message: /anonymous: --no-anonymous-auth says the same/ });
  const error = await t.throwsAsync(follow(t, 'x: 1'));
  t.is((error as Error & { exitCode?: number }).exitCode, 3);
});
