/**
 * The authorizer of admission expressions (Kubernetes' authz library). Evaluation does not wait: a question whose answer is
 * not there yet ends it with {@link PendingDecision}, and who evaluates asks, and starts again.
 */
import { Opaque } from '../opaque.ts';
import { EvaluationError, type Value } from '../values.ts';
import { define, type Overload } from './library.ts';

/** What is asked: a path that is no resource, or a verb on a resource. */
export interface AuthorizationQuestion {
  /** Who; the request's own user if not said. */
  readonly serviceAccount?: { readonly namespace: string; readonly name: string };
  readonly verb: string;
  readonly path?: string;
  readonly group?: string;
  readonly resource?: string;
  readonly subresource?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly fieldSelector?: string;
  readonly labelSelector?: string;
}
export interface AuthorizationDecision {
  readonly allowed: boolean;
  readonly reason: string;
  readonly error?: string;
}
/** Answers that are there; undefined for those that have to be asked for. */
export type Decisions = (question: AuthorizationQuestion) => AuthorizationDecision | undefined;

/** Evaluation cannot go on before this is answered. */
export class PendingDecision extends Error {
  override readonly name = 'PendingDecision';
  readonly question: AuthorizationQuestion;

  constructor(question: AuthorizationQuestion) {
    super('a decision of the authorizer is missing');
    this.question = question;
  }
}

const PREFIX = 'kubernetes.authorization';
const AUTHORIZER = `${PREFIX}.Authorizer`;
const PATH = `${PREFIX}.PathCheck`;
const GROUP = `${PREFIX}.GroupCheck`;
const RESOURCE = `${PREFIX}.ResourceCheck`;
const DECISION = `${PREFIX}.Decision`;
export const AUTHORIZATION_TYPES = [AUTHORIZER, PATH, GROUP, RESOURCE, DECISION] as const;

/** A question that is not complete yet, and who answers it. */
interface Draft {
  readonly decisions: Decisions;
  readonly question: Omit<AuthorizationQuestion, 'verb'>;
}
type Check = Opaque<Draft>;
const draft = (typeName: string, content: Draft): Check => new Opaque(typeName, content, (a, b) => a === b);
const more = (typeName: string, { content }: Check, question: Draft['question']): Check =>
  draft(typeName, { ...content, question: { ...content.question, ...question } });

/** The value of `authorizer`. */
export const authorizerValue = (decisions: Decisions): Value => draft(AUTHORIZER, { decisions, question: {} });

/** The value of `authorizer.requestResource`: a check of what the request is about. */
export const requestResourceValue = (decisions: Decisions, question: Draft['question']): Value =>
  draft(RESOURCE, { decisions, question });

function ask({ content }: Check, verb: string): Value {
  const question = { ...content.question, verb };
  const decision = content.decisions(question);
  if (!decision) throw new PendingDecision(question);
  return new Opaque(DECISION, decision, (a, b) => a === b);
}

type Decided = Opaque<AuthorizationDecision>;

export const AUTHORIZATION: readonly Overload[] = [
  define<[Check, string]>(`${AUTHORIZER}->path(string): ${PATH}`, (check, path) => {
    if (path === '') throw new EvaluationError('path must not be empty');
    return more(PATH, check, { path });
  }),
  define<[Check, string]>(`${PATH}->check(string): ${DECISION}`, ask, 'authorization'),
  define<[Check, string]>(`${AUTHORIZER}->group(string): ${GROUP}`, (check, group) => more(GROUP, check, { group })),
  define<[Check, string, string]>(
    `${AUTHORIZER}->serviceAccount(string, string): ${AUTHORIZER}`,
    (check, namespace, name) => more(AUTHORIZER, check, { serviceAccount: { namespace, name } }),
  ),
  define<[Check, string]>(`${GROUP}->resource(string): ${RESOURCE}`, (check, resource) =>
    more(RESOURCE, check, { resource }),
  ),
  ...(['subresource', 'namespace', 'name', 'fieldSelector', 'labelSelector'] as const).map(part =>
    define<[Check, string]>(`${RESOURCE}->${part}(string): ${RESOURCE}`, (check, value) =>
      more(RESOURCE, check, { [part]: value }),
    ),
  ),
  define<[Check, string]>(`${RESOURCE}->check(string): ${DECISION}`, ask, 'authorization'),
  define<[Decided]>(`${DECISION}->errored(): bool`, ({ content }) => content.error !== undefined),
  define<[Decided]>(`${DECISION}->error(): string`, ({ content }) => content.error ?? ''),
  define<[Decided]>(`${DECISION}->allowed(): bool`, ({ content }) => content.allowed),
  define<[Decided]>(`${DECISION}->reason(): string`, ({ content }) => content.reason),
];
