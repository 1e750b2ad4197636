/**
 * What every runtime does, as tests. A runtime's own test file calls {@link runtimeContract} with a harness; what only
 * runtimes with real processes can show is asked of those that say so. Those that import images call `imageContract` too.
 */
import type { TestFn } from 'ava';
import { imageStoreContract } from './image-store-contract.ts';
import { lifecycleContract } from './lifecycle-contract.ts';
import { logContract, programLogContract } from './log-contract.ts';
import { processContract } from './process-contract.ts';
import { sessionContract } from './session-contract.ts';
import type { RuntimeHarness } from './testing/fixture.ts';

/** Registers the suite's tests. */
export function runtimeContract(test: TestFn, harness: RuntimeHarness): void {
  if (harness.unavailable !== undefined) {
    test.skip(`the runtime's contract: ${harness.unavailable}`, t => t.pass());
    return;
  }
  lifecycleContract(test, harness);
  logContract(test, harness);
  imageStoreContract(test, harness);
  if (!harness.programs) return;
  programLogContract(test, harness);
  sessionContract(test, harness);
  processContract(test, harness);
}
