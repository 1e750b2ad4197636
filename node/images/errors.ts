/** What goes wrong with images. */
export class ImageError extends Error {
  override readonly name = 'ImageError';
  readonly code = 'NODE_IMAGE';
}
/** A container uses the image. */
export class ImageInUseError extends Error {
  override readonly name = 'ImageInUseError';
  readonly code = 'NODE_IMAGE_IN_USE';
}
/** A registry said no; `status` is its HTTP status. */
export class RegistryError extends Error {
  override readonly name = 'RegistryError';
  readonly code = 'NODE_REGISTRY';
  readonly status: number | undefined;
  constructor(message: string, status?: number, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code);
}
