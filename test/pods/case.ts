/** What a case of the suite of pods is: a manifest, and the end that it has to come to. */

/** A value of the view matches if it is equal, if the expression matches, or if the function says so. */
export type Expected = string | number | boolean | RegExp | ((value: unknown) => boolean) | undefined;

/** A container's status, flattened. */
export interface ContainerExpectation {
  readonly state?: 'running' | 'waiting' | 'terminated';
  readonly reason?: Expected;
  readonly message?: Expected;
  readonly exitCode?: Expected;
  readonly signal?: Expected;
  readonly restarts?: Expected;
  readonly ready?: Expected;
  readonly started?: Expected;
  readonly lastReason?: Expected;
  readonly lastExitCode?: Expected;
  readonly lastMessage?: Expected;
}

export interface Expectation {
  readonly phase?: Expected;
  readonly reason?: Expected;
  readonly message?: Expected;
  readonly podIP?: Expected;
  readonly hostIP?: Expected;
  readonly qosClass?: Expected;
  /** Status of conditions by type. */
  readonly conditions?: Readonly<Record<string, Expected>>;
  /** All sorts of containers, by name. */
  readonly containers?: Readonly<Record<string, ContainerExpectation>>;
}

export type Manifest = Readonly<Record<string, unknown>>;

/** Parts of a container's manifest; image and name are filled in where they are not given. */
export type ContainerManifest = Manifest & { readonly name?: string };

export interface SpecManifest {
  readonly containers: readonly ContainerManifest[];
  readonly initContainers?: readonly ContainerManifest[];
  readonly [key: string]: unknown;
}

/** The pod of a case while it is being tested. */
export interface PodUnderTest {
  readonly name: string;
  readonly namespace: string;
  /** Free of the machine's own ports; a different one for each case and runtime. */
  readonly port: number;
  readonly image: string;
  read(): Promise<Manifest & { readonly metadata: Manifest; readonly status?: Manifest }>;
  /** Waits until the pod is so. */
  becomes(expectation: Expectation, timeoutMs?: number): Promise<void>;
  /** Waits until the log is so. */
  says(container: string, text: string | RegExp, query?: string): Promise<void>;
  log(container: string, query?: string): Promise<string>;
  /** Waits for an event with this reason and message. */
  told(reason: string, message: RegExp): Promise<void>;
  events(): Promise<readonly string[]>;
  exec(container: string, command: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }>;
  patch(body: object, options?: { readonly subresource?: string; readonly type?: string }): Promise<Manifest>;
  remove(graceSeconds?: number): Promise<void>;
  /** Waits until the object is gone; gives how long that took in milliseconds. */
  gone(): Promise<number>;
  api(method: string, path: string, body?: object, type?: string): Promise<Manifest>;
}

export interface PodCase {
  /** Name of the pod, and of the case. */
  readonly name: string;
  /** One of those that run where not all do. */
  readonly short?: boolean;
  readonly only?: { readonly runtime: 'docker' | 'native'; readonly why: string };
  /** Why this machine cannot do it; undefined if it can. */
  readonly lacking?: () => string | undefined;
  /** ConfigMaps, Secrets and the like; made before the pod in its namespace. */
  readonly objects?: readonly Manifest[];
  readonly metadata?: Manifest;
  readonly spec: SpecManifest;
  readonly end?: Expectation;
  /** By container; a text is the whole log. */
  readonly logs?: Readonly<Record<string, string | RegExp>>;
  /** Reason and message. */
  readonly events?: readonly (readonly [string, RegExp])[];
  /** What happens after `end` was reached. */
  readonly then?: (pod: PodUnderTest) => Promise<void>;
  readonly timeoutMs?: number;
}

/** A container that runs a script. */
export function sh(script: string, more: ContainerManifest = {}): ContainerManifest {
  return { name: 'main', command: ['sh', '-c', script], ...more };
}

/** A script that goes on until it is told to end. */
export const untilTerm = (before = 'true') => `${before}; trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done`;

/** A container of its own name that runs until it is told to end. */
export const waits = (name = 'main', more: ContainerManifest = {}) => sh(untilTerm(), { name, ...more });

/** A condition that has to hold, with words for the report. */
export function check(isTrue: boolean, what: string): void {
  if (!isTrue) throw new Error(what);
}
