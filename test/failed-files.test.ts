import test from 'ava';
import { failedFiles } from './failed-files.ts';

const files = [
  'control/api/main.test.ts',
  'node/agent.test.ts',
  'node/runtime/native/agent.test.ts',
  'test/e2e/dns.test.ts',
];

const cases: readonly [name: string, titles: readonly string[], expected: readonly string[] | undefined][] = [
  ['nothing', [], []],
  ['the whole path', ['node › agent › starts', 'node › agent › ends'], ['node/agent.test.ts']],
  ['a shorter path, where folders are common to all', ['dns › answers › over TCP'], ['test/e2e/dns.test.ts']],
  ['all that it may be', ['agent › starts'], ['node/agent.test.ts', 'node/runtime/native/agent.test.ts']],
  ['a file that ended', ['control/api/main.test.ts exited due to SIGKILL'], ['control/api/main.test.ts']],
  ['words in the midst of a title', ['store › dns › answers'], undefined],
  ['one of two is not known', ['node › agent › starts', 'nobody › knows'], undefined],
];
for (const [name, titles, expected] of cases) {
  test(`files of failed tests: ${name}`, t => t.deepEqual(failedFiles(titles, files), expected));
}
