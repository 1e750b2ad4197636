/** Follows the file of `--authentication-config`: what it says holds as soon as it has been written, and stays if it gets worse. */
import { readFile, stat } from 'node:fs/promises';
import {
  type AuthenticationConfiguration,
  AuthenticationConfigurationError,
  readAuthenticationConfiguration,
} from '../apiserver/auth/authentication-configuration.ts';
import { ConfiguredAuthentication } from '../apiserver/auth/configured-authentication.ts';
import type { Clock, Logger } from '../apiserver/types.ts';

/** Between two looks at the file. */
export const AUTHENTICATION_FILE_POLL_MS = 1_000;
/** A larger file is refused. */
export const AUTHENTICATION_FILE_BYTES_MAX = 4 * 1024 * 1024;

export interface AuthenticationFileOptions {
  readonly file: string;
  /** Who issues service accounts' tokens: the file may not name it. */
  readonly ownIssuer: string;
  /** True if a flag says already that nobody is anonymous. */
  readonly isAnonymousRefused: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class AuthenticationFile {
  readonly authentication: ConfiguredAuthentication;
  readonly #options: AuthenticationFileOptions;
  #used: string;
  /** What the last look found. What is still being written is not taken: it counts when two looks have found the same. */
  #seen: string;
  #cancel: (() => void) | undefined;
  #looking: Promise<void> = Promise.resolve();

  /** Reads the file, and follows it until {@link close}. @throws AuthenticationConfigurationError */
  static async open(options: AuthenticationFileOptions): Promise<AuthenticationFile> {
    try {
      const text = await read(options.file);
      return new AuthenticationFile(options, text, interpret(text, options));
    } catch (error) {
      throw new AuthenticationConfigurationError(`--authentication-config: ${options.file}: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  private constructor(options: AuthenticationFileOptions, text: string, configuration: AuthenticationConfiguration) {
    this.#options = options;
    this.#used = text;
    this.#seen = text;
    this.authentication = new ConfiguredAuthentication(configuration, options);
    this.#arm();
  }

  /** Resolves when the file is looked at no more. */
  async close(): Promise<void> {
    this.#cancel?.();
    this.#cancel = undefined;
    await this.#looking;
  }

  #arm(): void {
    this.#cancel = this.#options.clock.setTimeout(() => {
      this.#looking = this.#look().then(() => {
        if (this.#cancel) this.#arm();
      });
    }, AUTHENTICATION_FILE_POLL_MS);
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    const { file, logger } = this.#options;
    let found: string;
    let text: string | undefined;
    try {
      text = await read(file);
      found = text;
    } catch (error) {
      found = messageOf(error);
    }
    const isSettled = found === this.#seen;
    this.#seen = found;
    if (!isSettled || found === this.#used) return;
    // Good or bad, it is judged once.
    this.#used = found;
    try {
      if (text === undefined) throw new AuthenticationConfigurationError(found);
      this.authentication.use(interpret(text, this.#options));
      logger.info({ file }, 'the authentication configuration has changed and is in use');
    } catch (error) {
      logger.error(
        { file, error: messageOf(error) },
        'the authentication configuration cannot be used: the one before it stays in use',
      );
    }
  }
}

function interpret(text: string, { ownIssuer, isAnonymousRefused }: AuthenticationFileOptions) {
  const configuration = readAuthenticationConfiguration(text, { disallowedIssuers: [ownIssuer] });
  if (configuration.anonymous && isAnonymousRefused) {
    throw new AuthenticationConfigurationError(
      'anonymous: --no-anonymous-auth says the same by a flag: leave one of the two out',
    );
  }
  return configuration;
}

async function read(file: string): Promise<string> {
  const { size } = await stat(file);
  if (size > AUTHENTICATION_FILE_BYTES_MAX) {
    throw new AuthenticationConfigurationError(
      `it has ${size} bytes, and may have ${AUTHENTICATION_FILE_BYTES_MAX} at most`,
    );
  }
  return readFile(file, 'utf8');
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
