/** Spoiled requests against the API server, with a verdict. */
import { flagsOf } from '../helpers/flags.ts';
import { fuzz } from './runner.ts';

const USAGE = `Spoiled requests against the API server, with a verdict:

  npm run fuzz -- [--requests 100000] [--seed 1]

Exit code 1 if anything was found.`;

const values = flagsOf(USAGE, {
  requests: { type: 'string', default: '100000' },
  seed: { type: 'string', default: '1' },
});
const [requests, seed] = [Number(values.requests), Number(values.seed)];
if (!Number.isSafeInteger(requests) || !Number.isSafeInteger(seed) || requests < 1) {
  console.error(`error: --requests and --seed take whole numbers\n\n${USAGE}`);
  process.exit(2);
}
const startedMs = performance.now();
const { findings, byStatus, readBack, slowestMs } = await fuzz({ requests, seed, say: line => console.error(line) });
for (const { index, what, detail, request } of findings) {
  console.log(`\n#${index} ${what}: ${detail.slice(0, 1_500)}`);
  if (request) console.log(JSON.stringify(request).slice(0, 2_000));
}
const seconds = Math.round((performance.now() - startedMs) / 100) / 10;
console.log(`\n${requests} requests with seed ${seed} in ${seconds} s; answers by status: ${JSON.stringify(byStatus)}`);
console.log(`${readBack} accepted writes read back, slowest request ${Math.round(slowestMs)} ms`);
console.log(findings.length === 0 ? 'Verdict: nothing was broken.' : `Verdict: ${findings.length} findings.`);
process.exit(findings.length === 0 ? 0 : 1);
