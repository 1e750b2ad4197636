import { type ParseArgsConfig, parseArgs } from 'node:util';

type Options = NonNullable<ParseArgsConfig['options']>;
type Flags<T extends Options> = ReturnType<typeof parseArgs<{ options: T }>>['values'];

/**
 * The flags that one of the programs in `test/` was started with. `--help` prints its usage and ends the program with 0;
 * a flag that it does not know prints what is wrong, and ends it with 2.
 */
export function flagsOf<const T extends Options>(usage: string, options: T): Flags<T> {
  if (process.argv.includes('--help') || process.argv.includes('-h')) {
    console.log(usage);
    process.exit(0);
  }
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    console.error(`error: ${(error as Error).message}\n\n${usage}`);
    process.exit(2);
  }
}
