/** Flags that are the agent's and are handed on by who starts agents. */
import test from 'ava';
import { Command } from 'commander';
import { handedOn, handedOnArguments, nodeOptions, runtimeOptions } from './node-flags.ts';

const options = () => [...runtimeOptions(), ...nodeOptions()];

function command(list: ReturnType<typeof options>): Command {
  const made = new Command().exitOverride().configureOutput({ writeErr: () => undefined });
  for (const option of list) made.addOption(option);
  return made;
}

/** What a command that starts agents gives them. */
function handOver(words: readonly string[]): readonly string[] {
  const list = options();
  return handedOnArguments(
    list,
    command([...handedOn(list)])
      .parse(words, { from: 'user' })
      .opts(),
  );
}

const TYPED: readonly (readonly string[])[] = [
  [],
  ['--no-network-policy'],
  ['--runtime', 'native', '--node-network', 'wireguard'],
  ['--node-label', 'a=b', '--node-label', 'c=', '--node-taint', 'k=v:NoSchedule', '--node-taint', 'l:NoExecute'],
  ['--pod-manifest-path', 'some folder', '--registries', 'r.yaml', '--resolv-conf', ''],
  ['--cluster-dns', '10.0.0.1, 10.0.0.2', '--cluster-domain', 'c.local', '--dns-stub-zone', 'a.=10.0.0.3'],
  ['--eviction-hard', 'memory.available<100Mi', '--eviction-soft', 'memory.available<1Gi'],
  ['--eviction-soft-grace-period', 'memory.available=1m30s', '--eviction-max-pod-grace-period', '-1'],
  ['--image-gc-high-threshold', '90', '--image-gc-low-threshold', '70', '--image-maximum-gc-age', '24h'],
  ['--image-gc-high-threshold', '90', '--image-gc-high-threshold', '95'],
];

for (const words of TYPED) {
  test(`the agent reads what was typed: ${words.join(' ') || 'nothing'}`, t => {
    const direct = command(options()).parse(words, { from: 'user' }).opts();
    const passed = handOver(words);
    t.deepEqual(command(options()).parse(passed, { from: 'user' }).opts(), direct);
    if (words.length === 0) t.deepEqual(passed, []);
  });
}

for (const words of [
  ['--node-network', 'pigeon'],
  ['--node-label', 'a'],
  ['--node-taint', 'a=b:Never'],
  ['--cluster-dns', 'dns.example'],
  ['--dns-stub-zone', 'a'],
  ['--eviction-soft-grace-period', 'memory.available=soon'],
  ['--image-gc-high-threshold', '101'],
]) {
  test(`what the agent would refuse is refused before it starts: ${words.join(' ')}`, t => {
    t.throws(() => command(options()).parse(words, { from: 'user' }), { code: 'commander.invalidArgument' });
    t.throws(() => handOver(words), { code: 'commander.invalidArgument' });
  });
}
