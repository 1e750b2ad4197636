import { fileURLToPath } from 'node:url';
import { testWith } from '../helpers/requirements.ts';
import { run } from '../helpers/run.ts';

const PROGRAM = fileURLToPath(new URL('./main.ts', import.meta.url));
const DURATION = process.env.RAFTSMAN_SOAK ?? '35s';
const TIMEOUT_MS = 180_000;

testWith(['root', 'iproute2', 'nftables', 'e2fsprogs'])(
  'members under faults of processes, network and disks keep every promise',
  async t => {
    t.timeout(TIMEOUT_MS, 'the soak takes longer than it should');
    const { code, stdout, stderr } = await run(process.execPath, [PROGRAM, '--for', DURATION], {
      timeoutMs: TIMEOUT_MS,
    });
    t.log(stdout);
    t.is(code, 0, `${stdout}\n${stderr}`);
    t.regex(stdout, /general checker: linearizable/);
  },
);
