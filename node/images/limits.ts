/** Bounds of images: what a registry or an archive may make this node take. */

/** Manifests, indexes and configurations: the limit of registries (4 MiB), as containerd has it doubled. */
export const documentBytesMax = 8 * 1024 * 1024;
/** As overlayfs and Docker have it. */
export const layersMax = 125;
export const layerBytesMax = 64 * 1024 ** 3;
export const layerEntriesMax = 2_000_000;
export const symlinksMax = 40;
/** Layers of one image that are fetched at once. */
export const downloadsMax = 3;
/** A request that breaks is made again, from where it broke. */
export const attemptsMax = 5;
export const retryDelayMs = 250;
export const retryDelayMsMax = 5_000;
/** Nothing came for so long: the connection is taken as broken. */
export const idleTimeoutMs = 30_000;
export const redirectsMax = 5;
/** Answers to requests for tokens and error texts. */
export const answerBytesMax = 256 * 1024;
/** Extended attributes that are set by one program. */
export const attributesPerProgramMax = 500;
export const unpackTimeoutMs = 30 * 60_000;
