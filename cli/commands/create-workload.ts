/** `raftsman create deployment`, `job` and `cronjob`: what runs an image. */
import type { JsonObject } from '../client/api.ts';
import { pathOf } from '../client/discovery.ts';
import { failure } from '../client/errors.ts';
import type { Session } from '../client/session.ts';
import { integer, list } from './cluster-command.ts';
import { kind, nameIn, type RegisterKind } from './create-kind.ts';

interface ImageFlags {
  readonly image?: readonly string[];
  readonly replicas: number;
  readonly port?: number;
}

const deployment = kind<ImageFlags>({
  name: 'deployment',
  aliases: ['deploy', 'dep'],
  required: ['image'],
  takesCommand: true,
  usage: 'NAME --image=image -- [COMMAND] [args...]',
  description: 'Creates a deployment.',
  example: 'raftsman create deployment web --image=nginx --replicas=3 --port=80',
  flags: command =>
    command
      .option('--image <image>', 'the image to run (repeatable)', list)
      .option('-r, --replicas <number>', 'how many pods', integer, 1)
      .option('--port <port>', 'the port that the container listens on', integer),
  build: (words, flags) => {
    const name = nameIn(words);
    const images = flags.image ?? [];
    const command = words.slice(1);
    if (images.length > 1 && command.length > 0) throw failure('cannot specify multiple --image options and command');
    const labels = { app: name };
    return {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, labels },
      spec: {
        replicas: flags.replicas,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            containers: images.map(image => ({
              name: containerName(image),
              image,
              ...(command.length > 0 && { command }),
              ...(flags.port !== undefined && { ports: [{ containerPort: flags.port }] }),
            })),
          },
        },
      },
    };
  },
});

/** `registry/nginx:1.2` → `nginx`. */
function containerName(image: string): string {
  const last = image.slice(image.lastIndexOf('/') + 1).split(/[:@]/)[0] ?? '';
  return last
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]/g, '-')
    .replace(/^-+|-+$/g, '');
}

interface JobFlags {
  readonly image?: string;
  readonly from?: string;
}

const job = kind<JobFlags>({
  name: 'job',
  takesCommand: true,
  usage: 'NAME --image=image [--from=cronjob/name] -- [COMMAND] [args...]',
  description: 'Creates a job, from an image or as a cron job would.',
  example: 'raftsman create job once --image=busybox -- date\n  raftsman create job now --from=cronjob/backup',
  flags: command =>
    command.option('--image <image>', 'the image to run').option('--from <cronjob/name>', 'the cron job to run now'),
  build: (words, flags, session) => {
    const name = nameIn(words);
    const command = words.slice(1);
    if (Boolean(flags.image) === Boolean(flags.from)) throw failure('either --image or --from must be specified');
    if (flags.from) {
      if (command.length > 0) throw failure('cannot specify --from and command');
      return jobFrom(session, name, flags.from);
    }
    return { apiVersion: 'batch/v1', kind: 'Job', metadata: { name }, spec: jobSpec(name, flags.image, command) };
  },
});

function jobSpec(name: string, image: string | undefined, command: readonly string[], restartPolicy = 'Never') {
  return {
    template: {
      spec: { containers: [{ name, image, ...(command.length > 0 && { command }) }], restartPolicy },
    },
  };
}

/** A job as the cron job would make it now. */
async function jobFrom(session: Session, name: string, from: string): Promise<JsonObject> {
  const [type = '', source = ''] = from.split('/');
  const resource = await session.discovery.find(type);
  const object = await session.api.json<{
    kind?: string;
    metadata?: { name?: string; uid?: string };
    spec?: { jobTemplate?: { metadata?: { labels?: object; annotations?: object }; spec?: object } };
  }>('GET', pathOf(resource, session.namespace, source));
  if (resource.kind !== 'CronJob') throw failure(`unknown object type *${resource.version}.${resource.kind}`);
  const { metadata: template, spec } = object.spec?.jobTemplate ?? {};
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name,
      annotations: { 'cronjob.kubernetes.io/instantiate': 'manual', ...template?.annotations },
      ...(template?.labels && { labels: template.labels }),
      ownerReferences: [
        {
          apiVersion: 'batch/v1',
          kind: 'CronJob',
          name: object.metadata?.name,
          uid: object.metadata?.uid,
          controller: true,
        },
      ],
    },
    spec,
  };
}

interface CronJobFlags {
  readonly image?: string;
  readonly schedule?: string;
  readonly restart: string;
}

const cronJob = kind<CronJobFlags>({
  name: 'cronjob',
  aliases: ['cj'],
  required: ['image', 'schedule'],
  takesCommand: true,
  usage: "NAME --image=image --schedule='0/5 * * * ?' -- [COMMAND] [args...]",
  description: 'Creates a cron job.',
  example: "raftsman create cronjob backup --image=busybox --schedule='@daily' -- date",
  flags: command =>
    command
      .option('--image <image>', 'the image to run')
      .option('--schedule <schedule>', 'when to run, as cron has it')
      .option('--restart <policy>', 'OnFailure or Never', 'OnFailure'),
  build: (words, flags) => {
    const name = nameIn(words);
    return {
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      metadata: { name },
      spec: {
        jobTemplate: { metadata: { name }, spec: jobSpec(name, flags.image, words.slice(1), flags.restart) },
        schedule: flags.schedule,
      },
    };
  },
});

export const workloadKinds: readonly RegisterKind[] = [cronJob, deployment, job];
