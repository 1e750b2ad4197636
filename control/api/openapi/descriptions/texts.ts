/** The form of what OpenAPI says of definitions and their fields. */

/** What is said of a definition (`itself`) and of its fields, by name. No field of the API is called `itself`. */
export interface DefinitionTexts {
  readonly itself: string;
  readonly [field: string]: string;
}

/**
 * The texts of one subject: plain text, one to three short sentences in our own words. What follows from a definition's
 * form (`apiVersion`, the `items` of a list, the fields of conditions) is said by the rules of `forms.ts`, unless it stands
 * here.
 */
export interface TextTable {
  /** What the names of the definitions begin with, such as `io.k8s.api.core.v1.`. */
  readonly prefix: string;
  /** By the definition's name without the prefix. */
  readonly texts: Readonly<Record<string, DefinitionTexts>>;
}
