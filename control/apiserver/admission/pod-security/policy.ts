/**
 * What a namespace's labels say of its pods' security: a level and a version for each of three modes (KEP-2579,
 * k8s.io/pod-security-admission/api). Pure.
 */
import type { FieldError } from '../../../api/status.ts';
import { invalidValue } from '../../../api/validation/errors.ts';

export const LEVELS = ['privileged', 'baseline', 'restricted'] as const;
export type Level = (typeof LEVELS)[number];

export interface LevelVersion {
  readonly level: Level;
  /** The minor version of Kubernetes whose rules hold; Infinity for the latest. */
  readonly minor: number;
}

export const MODES = ['enforce', 'audit', 'warn'] as const;
export type Mode = (typeof MODES)[number];
export type Policy = Readonly<Record<Mode, LevelVersion>>;

const PREFIX = 'pod-security.kubernetes.io/';
const LATEST = Number.POSITIVE_INFINITY;
const UNSAID: LevelVersion = { level: 'privileged', minor: LATEST };
const VERSION = /^v1\.(0|[1-9]\d*)$/;

type Labels = Readonly<Record<string, string>>;

/** True if the labels say anything of pods' security. */
export const hasPolicy = (labels: Labels | undefined): boolean => {
  for (const label in labels) if (label.startsWith(PREFIX)) return true;
  return false;
};

/** The policy, which always is one: what cannot be read is taken for the strictest, or where it only warns for none. */
export function readPolicy(labels: Labels = {}): { readonly policy: Policy; readonly errors: FieldError[] } {
  const errors: FieldError[] = [];
  const refuse = (label: string, why: string) =>
    errors.push(invalidValue(`metadata.labels[${label}]`, labels[label] ?? '', why));
  const read = (mode: Mode): LevelVersion => {
    let { level, minor } = UNSAID;
    const levelLabel = PREFIX + mode;
    const given = labels[levelLabel];
    if (given !== undefined) {
      const known = LEVELS.find(each => each === given);
      if (!known) refuse(levelLabel, `must be one of ${LEVELS.join(', ')}`);
      level = known ?? (mode === 'enforce' ? 'restricted' : 'privileged');
    }
    const versionLabel = `${PREFIX}${mode}-version`;
    const version = labels[versionLabel];
    if (version !== undefined && version !== 'latest') {
      const match = VERSION.exec(version);
      if (!match) refuse(versionLabel, 'must be "latest" or "v1.x"');
      minor = match ? Number(match[1]) : LATEST;
    }
    return { level, minor };
  };
  const policy = { enforce: read('enforce'), audit: read('audit'), warn: read('warn') };
  return { policy, errors };
}

/** `restricted:latest`, `baseline:v1.30`. */
export const showPolicy = ({ level, minor }: LevelVersion): string =>
  `${level}:${minor === LATEST ? 'latest' : `v1.${minor}`}`;

export const isSame = (a: LevelVersion, b: LevelVersion): boolean => a.level === b.level && a.minor === b.minor;

/** Above zero if `a` is stricter. */
export const compareLevels = (a: Level, b: Level): number => LEVELS.indexOf(a) - LEVELS.indexOf(b);
